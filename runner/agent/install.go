package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// installWait bounds an installation, the wait for another one included.
const installWait = 5 * time.Minute

// installed is the Claude Code of the user's cache folder, installed now where it is not there or damaged.
//
// It lies in <cache>/ccrun/claude/<version>/<platform>. It gets there by a rename, so that what is there is whole; a
// lock, which the system drops with the process that holds it, keeps two installations apart.
func (o FindOptions) installed(ctx context.Context) (Executable, error) {
	platform, err := platform()
	if err != nil {
		return Executable{}, err
	}
	if o.CacheDir == "" {
		return Executable{}, fmt.Errorf("install Claude Code: %w: there is no cache folder (is HOME set?): install it yourself, "+
			"and name it with --claude", ErrNotFound)
	}
	base := filepath.Join(o.CacheDir, "ccrun", "claude")
	dir := filepath.Join(base, o.Version, platform)
	if exe, err := o.cached(ctx, dir); err == nil || ctx.Err() != nil {
		return exe, err
	}

	ctx, cancel := context.WithTimeout(ctx, installWait)
	defer cancel()
	if err := os.MkdirAll(base, 0o755); err != nil {
		return Executable{}, fmt.Errorf("install Claude Code: %w: %w: make the cache folder writable, or set XDG_CACHE_HOME", ErrNotFound, err)
	}
	lock := flock.New(filepath.Join(base, ".lock"))
	if ok, err := lock.TryLock(); err != nil || !ok {
		fmt.Fprintf(o.Log, "waiting for another installation of Claude Code (%s)\n", lock.Path())
		if _, err := lock.TryLockContext(ctx, 100*time.Millisecond); err != nil {
			return Executable{}, fmt.Errorf("install Claude Code: %w: wait for the lock %s: %w", ErrNotFound, lock.Path(), err)
		}
	}
	defer lock.Unlock()

	exe, err := o.cached(ctx, dir) // by the one we waited for
	if err == nil || ctx.Err() != nil {
		return exe, err
	}
	if !errors.Is(err, os.ErrNotExist) {
		fmt.Fprintf(o.Log, "%v; it is installed again\n", err)
	}
	return o.install(ctx, base, dir, platform)
}

// cached is what lies in dir, where it runs and is the version asked for.
func (o FindOptions) cached(ctx context.Context, dir string) (Executable, error) {
	path := filepath.Join(dir, executable())
	if _, err := os.Stat(path); err != nil {
		return Executable{}, err
	}
	version, err := o.version(ctx, path)
	if err == nil && version != o.Version {
		err = fmt.Errorf("%s is version %s, not %s", path, version, o.Version)
	}
	return Executable{Path: path, Version: version}, err
}

// install gets the platform's package from npm into a folder beside dir and renames it to dir.
func (o FindOptions) install(ctx context.Context, base, dir, platform string) (Executable, error) {
	fail := func(err error) (Executable, error) {
		return Executable{}, fmt.Errorf("install Claude Code %s: %w: %w", o.Version, ErrNotFound, err)
	}
	npm, err := o.LookPath("npm")
	if err != nil {
		return fail(fmt.Errorf("%w: install Node.js with npm, or Claude Code itself, and name it with --claude or CLAUDE_PATH", err))
	}
	fmt.Fprintf(o.Log, "installing Claude Code %s (%s, about 380 MB) from npm into %s\n", o.Version, platform, dir)
	start := time.Now()
	temp, err := os.MkdirTemp(base, ".install-*")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(temp)
	name := "@anthropic-ai/claude-code-" + platform
	if err := o.npm(ctx, npm, temp, name+"@"+o.Version); err != nil {
		return fail(err)
	}

	got := filepath.Join(temp, "node_modules", filepath.FromSlash(name))
	if _, err := o.cached(ctx, got); err != nil {
		if errors.Is(err, ErrNotExecutable) {
			return Executable{}, fmt.Errorf("install Claude Code %s: %w", o.Version, err)
		}
		return fail(fmt.Errorf("the package %s is not usable: %w", name, err))
	}
	if err := os.RemoveAll(dir); err != nil { // a damaged one
		return fail(err)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fail(err)
	}
	if err := os.Rename(got, dir); err != nil {
		return fail(err)
	}
	fmt.Fprintf(o.Log, "installed Claude Code %s in %s\n", o.Version, time.Since(start).Round(100*time.Millisecond))
	return Executable{Path: filepath.Join(dir, executable()), Version: o.Version}, nil
}

// npm installs one package under dir. No script of a package is run. It works in dir, so that an .npmrc of the checked
// out repository has no say; it gets the whole environment, as the user's own .npmrc may name any variable of it.
func (o FindOptions) npm(ctx context.Context, npm, dir, spec string) error {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save",
		"--fetch-retries=1", "--prefix", dir, spec)
	cmd.Dir, cmd.Env = dir, o.Environ
	cmd.Stdout, cmd.Stderr = &out, &out // stdin is the null device
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("npm install %s: %w (at most %s) %s", spec, ctx.Err(), installWait, excerpt(out.Bytes()))
	case err != nil:
		return fmt.Errorf("npm install %s: %w: %s: check the registry and the network, or install Claude Code yourself and name it "+
			"with --claude or CLAUDE_PATH", spec, err, npmError(out.String()))
	}
	return nil
}

// npmError is what npm says of its error: its own lines of it, else the end of all that it said.
func npmError(out string) string {
	var lines []string
	for line := range strings.Lines(out) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "npm error "); ok && !strings.HasPrefix(text, "A complete log") {
			lines = append(lines, text)
		}
	}
	if len(lines) == 0 {
		return excerpt([]byte(out))
	}
	return oneLine(strings.Join(lines[:min(len(lines), 4)], "; "))
}

// platform is the end of the package's name, such as linux-x64-musl.
func platform() (string, error) {
	arch, known := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	system, built := map[string]string{"linux": "linux", "darwin": "darwin", "windows": "win32"}[runtime.GOOS]
	if !known || !built {
		return "", fmt.Errorf("install Claude Code: %w: there is no package for %s/%s: install it yourself and name it with --claude",
			ErrNotFound, runtime.GOOS, runtime.GOARCH)
	}
	if runtime.GOOS == "linux" && there("/lib/ld-musl-*") && !there("/lib/*-linux-gnu/libc.so.6") && !there("/lib64/libc.so.6") {
		arch += "-musl" // a glibc system may have musl's loader too, for cross builds
	}
	return system + "-" + arch, nil
}

func there(pattern string) bool {
	found, _ := filepath.Glob(pattern) // the only error is a bad pattern
	return len(found) > 0
}

func executable() string {
	if runtime.GOOS == "windows" {
		return "claude.exe"
	}
	return "claude"
}
