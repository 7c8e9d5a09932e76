package agent

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// ErrNotFound is that there is no Claude Code and none could be installed.
var ErrNotFound = errors.New("agent not found")

// ErrNotExecutable is that the file named is there and cannot be run: no permission, a folder, another system's binary.
var ErrNotExecutable = errors.New("agent not executable")

// FindOptions says where to look.
type FindOptions struct {
	Path     string   // --claude: a path or a name; $CLAUDE_PATH where empty
	Version  string   // to install where none is found; Version where empty
	Environ  []string // the parent's, as "NAME=value"; npm gets it whole
	CacheDir string   // the user's cache folder, as of os.UserCacheDir
	Log      io.Writer
	LookPath func(string) (string, error) // exec.LookPath where nil
}

// Executable is a Claude Code that can be run.
type Executable struct {
	Path    string // absolute
	Version string // such as "2.1.330"; "" where it did not say
}

// Find gives the Claude Code to run: Path, $CLAUDE_PATH, the first "claude" of PATH, the one installed earlier, or one
// installed now, in this order. One that is named and cannot be run is an error, never a reason to look further.
// Errors wrap ErrNotFound or ErrNotExecutable, or are of ctx.
func Find(ctx context.Context, o FindOptions) (Executable, error) {
	o.Version = cmp.Or(o.Version, Version)
	if o.LookPath == nil {
		o.LookPath = exec.LookPath
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	named, by := o.Path, "--claude"
	if named == "" {
		named, by = o.getenv("CLAUDE_PATH"), "CLAUDE_PATH"
	}
	if named != "" {
		path, err := o.LookPath(named)
		if err != nil {
			return Executable{}, fmt.Errorf("find Claude Code at %s (%s): %w: give the path of an executable file, or leave it out",
				named, by, lookError(err))
		}
		return o.use(ctx, path)
	}
	if path, err := o.LookPath("claude"); err == nil {
		return o.use(ctx, path)
	}
	return o.installed(ctx)
}

// use is an executable that the user has: one of another version, or that does not tell its version, is only a log line.
func (o FindOptions) use(ctx context.Context, path string) (Executable, error) {
	path, err := filepath.Abs(path) // the child runs in another folder
	if err != nil {
		return Executable{}, fmt.Errorf("find Claude Code at %s: %w", path, err)
	}
	version, err := o.version(ctx, path)
	switch {
	case errors.Is(err, ErrNotExecutable) || ctx.Err() != nil:
		return Executable{}, err
	case err != nil:
		fmt.Fprintf(o.Log, "%v; it is used all the same\n", err)
	case version != o.Version:
		fmt.Fprintf(o.Log, "Claude Code %s is used (%s); ccrun is tested with %s\n", version, path, o.Version)
	}
	return Executable{Path: path, Version: version}, nil
}

// versionWait bounds `claude --version`, which takes a tenth of a second on an idle machine.
const versionWait = 20 * time.Second

// version asks an executable for its version.
func (o FindOptions) version(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, versionWait)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.Env = Env(EnvOptions{Environ: o.Environ}) // nothing of a key, nothing sent anywhere
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = time.Second // a grandchild may keep stdout open
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("start %s: %w", path, startError(err))
	}
	err := cmd.Wait()
	if ctx.Err() != nil {
		return "", fmt.Errorf("ask %s for its version: %w", path, ctx.Err())
	}
	version, _, _ := strings.Cut(strings.TrimSpace(out.String()), " ") // "2.1.330 (Claude Code)"
	if err == nil && (version == "" || version[0] < '0' || version[0] > '9') {
		err = fmt.Errorf("it printed %q", excerpt(out.Bytes()))
	}
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w %s", path, err, excerpt(errs.Bytes()))
	}
	return version, nil
}

func lookError(err error) error {
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case errors.Is(err, exec.ErrDot):
		return fmt.Errorf("%w: %w: write it with its folder", ErrNotFound, err)
	}
	return fmt.Errorf("%w: %w", ErrNotExecutable, err)
}

// startError says why a file that is there does not start.
func startError(err error) error {
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("%w: %w: it is made for another system or processor, or is a script without a #! line", ErrNotExecutable, err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w: the interpreter or loader that the file names is missing (a glibc binary on musl?)", ErrNotExecutable, err)
	}
	return fmt.Errorf("%w: %w", ErrNotExecutable, err)
}

// getenv is the value of a variable of Environ; the last one counts, as for a program.
func (o FindOptions) getenv(name string) string {
	for n := len(o.Environ) - 1; n >= 0; n-- {
		if k, v, ok := strings.Cut(o.Environ[n], "="); ok && sameName(k, name) {
			return v
		}
	}
	return ""
}

// excerpt is the end of what a program printed, on one line.
func excerpt(b []byte) string {
	s := oneLine(string(bytes.TrimSpace(b)))
	if r := []rune(s); len(r) > 300 {
		s = "…" + string(r[len(r)-300:])
	}
	return s
}
