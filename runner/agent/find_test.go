//go:build unix

package agent

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// claudeScript is a program that answers --version as Claude Code does.
func claudeScript(version string) string {
	return "#!/bin/sh\necho '" + version + " (Claude Code)'\n"
}

func write(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// machine is a fresh one: a bin folder that is all of PATH beside the system's shell, a cache, a log.
type machine struct {
	FindOptions
	bin string
	log *bytes.Buffer
}

func newMachine(t *testing.T) machine {
	m := machine{bin: t.TempDir(), log: &bytes.Buffer{}}
	m.FindOptions = FindOptions{Environ: []string{"PATH=" + m.bin + ":/usr/bin:/bin", "npm_config_registry=mirror"}, CacheDir: t.TempDir(), Log: m.log}
	m.LookPath = func(name string) (string, error) { // on this machine, not on the one that the test runs on
		if !strings.Contains(name, "/") {
			name = filepath.Join(m.bin, name)
		}
		return exec.LookPath(name)
	}
	return m
}

// npm puts a fake npm on the machine: it notes its arguments and lays down a claude of the given version.
func (m machine) npm(t *testing.T, version string) {
	pkg := packageName(t)
	write(t, filepath.Join(m.bin, "npm"), `#!/bin/sh
echo "$@" >> "`+m.bin+`/npm.calls"
echo "$npm_config_registry $(pwd)" >> "`+m.bin+`/npm.env"
read line && exit 9 # standard input is empty
while [ "$1" != --prefix ]; do shift; done
d="$2/node_modules/`+pkg+`"
mkdir -p "$d" && printf '#!/bin/sh\necho "`+version+` (Claude Code)"\n' > "$d/claude" && chmod +x "$d/claude"
`, 0o755)
}

func packageName(t *testing.T) string {
	p, err := platform()
	if err != nil {
		t.Fatal(err)
	}
	return "@anthropic-ai/claude-code-" + p
}

func (m machine) calls(t *testing.T) []string {
	b, err := os.ReadFile(filepath.Join(m.bin, "npm.calls"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

// cache is what lies in the cache beside the lock.
func (m machine) cache(t *testing.T) (names []string) {
	entries, err := os.ReadDir(filepath.Join(m.CacheDir, "ccrun", "claude"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != ".lock" {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestFindOrder(t *testing.T) {
	m := newMachine(t)
	dir := t.TempDir()
	flag := write(t, filepath.Join(dir, "flag"), claudeScript(Version), 0o755)
	env := write(t, filepath.Join(dir, "env"), claudeScript("1.0.0"), 0o755)
	path := write(t, filepath.Join(m.bin, "claude"), claudeScript(Version), 0o755)
	for _, c := range []struct {
		flag, env string
		want      Executable
		log       string
	}{
		{flag, env, Executable{flag, Version}, ""},
		{"", env, Executable{env, "1.0.0"}, "Claude Code 1.0.0 is used"},
		{"", "", Executable{path, Version}, ""},
		{"claude", env, Executable{path, Version}, ""},
	} {
		m.log.Reset()
		o := m.FindOptions
		o.Path = c.flag
		o.Environ = append(o.Environ[:len(o.Environ):len(o.Environ)], "CLAUDE_PATH="+c.env)
		got, err := Find(t.Context(), o)
		if err != nil || got != c.want {
			t.Errorf("--claude %q, CLAUDE_PATH %q: %+v, %v", c.flag, c.env, got, err)
		}
		if (c.log == "") != (m.log.Len() == 0) || !strings.Contains(m.log.String(), c.log) {
			t.Errorf("log %q, want %q", m.log, c.log)
		}
	}
}

func TestFindNamed(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name, path string
		want       error // nil: it is used
		says       string
	}{
		{"missing", filepath.Join(dir, "no"), ErrNotFound, "no such file"},
		{"no such name", "no-claude-of-this-name", ErrNotFound, "--claude"},
		{"a folder", dir, ErrNotExecutable, "directory"},
		{"no permission", write(t, filepath.Join(dir, "plain"), claudeScript(Version), 0o644), ErrNotExecutable, "permission"},
		{"another architecture", write(t, filepath.Join(dir, "elf"), "\x7fELF\x02\x01\x01\x00"+strings.Repeat("\x00", 200), 0o755), ErrNotExecutable, "another system or processor"},
		{"no interpreter", write(t, filepath.Join(dir, "interp"), "#!/no/such/shell\n", 0o755), ErrNotExecutable, "interpreter or loader"},
		{"dies at once", write(t, filepath.Join(dir, "dies"), "#!/bin/sh\necho oh no >&2\nexit 3\n", 0o755), nil, "oh no"},
		{"garbage", write(t, filepath.Join(dir, "garbage"), "#!/bin/sh\necho hello\n", 0o755), nil, `it printed "hello"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t)
			m.Path = c.path
			got, err := Find(t.Context(), m.FindOptions)
			if !errors.Is(err, c.want) {
				t.Fatalf("%+v, %v", got, err)
			}
			told := m.log.String()
			if c.want != nil {
				told = err.Error()
			} else if got.Path != c.path || got.Version != "" {
				t.Errorf("%+v", got)
			}
			if !strings.Contains(told, c.says) {
				t.Errorf("said %q, want %q", told, c.says)
			}
		})
	}
}

func TestInstall(t *testing.T) {
	m := newMachine(t)
	m.npm(t, Version)
	got, err := Find(t.Context(), m.FindOptions)
	if err != nil {
		t.Fatal(err)
	}
	p, _ := platform()
	want := filepath.Join(m.CacheDir, "ccrun", "claude", Version, p, "claude")
	if got != (Executable{want, Version}) {
		t.Errorf("got %+v, want %s", got, want)
	}
	calls := m.calls(t)
	base := filepath.Join(m.CacheDir, "ccrun", "claude")
	if len(calls) != 1 || !strings.HasPrefix(calls[0], "install --ignore-scripts --no-audit --no-fund --no-save --fetch-retries=1 --prefix "+base+"/.install-") ||
		!strings.HasSuffix(calls[0], " "+packageName(t)+"@"+Version) {
		t.Errorf("npm was called with %q", calls)
	}
	if env, _ := os.ReadFile(filepath.Join(m.bin, "npm.env")); !strings.HasPrefix(string(env), "mirror "+base) {
		t.Errorf("npm ran with registry and folder %q", env)
	}
	if got := m.cache(t); len(got) != 1 || got[0] != Version {
		t.Errorf("in the cache: %q", got)
	}
	if !strings.Contains(m.log.String(), "installing Claude Code "+Version) {
		t.Errorf("log %q", m.log)
	}

	t.Run("again without npm", func(t *testing.T) {
		if err := os.Remove(filepath.Join(m.bin, "npm")); err != nil {
			t.Fatal(err)
		}
		m.log.Reset()
		if again, err := Find(t.Context(), m.FindOptions); err != nil || again != got || m.log.Len() != 0 {
			t.Errorf("%+v, %v, log %q", again, err, m.log)
		}
	})
	t.Run("damaged", func(t *testing.T) {
		m.npm(t, Version)
		write(t, got.Path, "half a file", 0o755)
		if again, err := Find(t.Context(), m.FindOptions); err != nil || again != got || len(m.calls(t)) != 2 {
			t.Errorf("%+v, %v, npm calls %q", again, err, m.calls(t))
		}
	})
	t.Run("another version", func(t *testing.T) {
		m.npm(t, "9.9.9")
		o := m.FindOptions
		o.Version = "9.9.9"
		if other, err := Find(t.Context(), o); err != nil || other.Version != "9.9.9" || other.Path == got.Path {
			t.Errorf("%+v, %v", other, err)
		}
	})
}

func TestInstallFails(t *testing.T) {
	for _, c := range []struct {
		name, npm string
		want      error
		says      string
	}{
		{"no npm", "", ErrNotFound, "install Node.js with npm"},
		{"npm fails", "#!/bin/sh\necho npm error code E404 >&2; echo npm error A complete log of this run is elsewhere >&2\nexit 1\n", ErrNotFound, "exit status 1: code E404: check"},
		{"nothing laid down", "#!/bin/sh\nexit 0\n", ErrNotFound, "is not usable"},
		{"wrong version", "version", ErrNotFound, "is version 1.2.3, not " + Version},
		{"wrong architecture", "elf", ErrNotExecutable, "another system or processor"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t)
			switch c.npm {
			case "":
			case "version":
				m.npm(t, "1.2.3")
			case "elf":
				write(t, filepath.Join(m.bin, "npm"), `#!/bin/sh
while [ "$1" != --prefix ]; do shift; done
d="$2/node_modules/`+packageName(t)+`"
mkdir -p "$d" && printf '\177ELF\002\001\001\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000' > "$d/claude" && chmod +x "$d/claude"
`, 0o755)
			default:
				write(t, filepath.Join(m.bin, "npm"), c.npm, 0o755)
			}
			_, err := Find(t.Context(), m.FindOptions)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v", err)
			}
			if left := m.cache(t); len(left) != 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// TestInstallTwice: of many at once one installs, and all get it.
func TestInstallTwice(t *testing.T) {
	m := newMachine(t)
	m.npm(t, Version)
	m.Log = nil
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if got, err := Find(t.Context(), m.FindOptions); err != nil || got.Version != Version {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	wg.Wait()
	if calls := m.calls(t); len(calls) != 1 {
		t.Errorf("npm was called %d times", len(calls))
	}
}

// TestInstallCancelled: an npm that never ends is ended with the run, and nothing is left.
func TestInstallCancelled(t *testing.T) {
	m := newMachine(t)
	started := filepath.Join(m.bin, "started")
	write(t, filepath.Join(m.bin, "npm"), "#!/bin/sh\necho > "+started+"\nexec sleep 600\n", 0o755)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := Find(ctx, m.FindOptions)
		done <- err
	}()
	for {
		if _, err := os.Stat(started); err == nil {
			break
		}
		runtime.Gosched()
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if left := m.cache(t); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}
