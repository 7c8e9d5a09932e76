package runner

import (
	"cmp"
	"os"
	"path/filepath"
	"runtime"
)

// home is the user's home folder after the job's environment; "" where it names none.
func (s System) home() string {
	getenv := lookup(s.Environ)
	if runtime.GOOS == "windows" {
		return getenv("USERPROFILE")
	}
	return getenv("HOME")
}

// cache is the user's cache folder: where os.UserCacheDir has it, but after the job's environment. "" where there is none: a
// folder that others may write to is no place for a program.
func (s System) cache() string {
	getenv := lookup(s.Environ)
	switch runtime.GOOS {
	case "windows":
		return getenv("LocalAppData")
	case "darwin":
		if home := s.home(); home != "" {
			return filepath.Join(home, "Library", "Caches")
		}
	}
	if dir := getenv("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return dir
	}
	if home := s.home(); home != "" {
		return filepath.Join(home, ".cache")
	}
	return ""
}

// temp is the folder for temporary files, as the agent will name it.
func (s System) temp() string {
	getenv := lookup(s.Environ)
	dir := getenv("TMPDIR")
	if runtime.GOOS == "windows" {
		dir = cmp.Or(getenv("TMP"), getenv("TEMP"))
	}
	dir = cmp.Or(dir, os.TempDir())
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		return real
	}
	return dir
}
