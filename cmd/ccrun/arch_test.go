package main

import (
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/ccrun/ccrun/"

type goPackage struct {
	ImportPath string
	Imports    []string
	Doc        string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Doc", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("go list found %d packages only", len(all))
	}
	return all
}

// Imports go one way: cmd, runner/batch, runner, its parts, proxy, its parts, proxy/anthropic.
func layer(path string) int {
	switch path = strings.TrimPrefix(path, module); {
	case strings.HasPrefix(path, "cmd/"):
		return 6
	case path == "runner/batch":
		return 5
	case path == "runner":
		return 4
	case strings.HasPrefix(path, "runner/"):
		return 3
	case path == "proxy":
		return 2
	case path == "proxy/anthropic" || strings.HasPrefix(path, "proxy/internal/"):
		return 0
	}
	return 1
}

func TestImportsGoOneWay(t *testing.T) {
	for _, p := range packages(t) {
		for _, imp := range p.Imports {
			if !strings.HasPrefix(imp, module) {
				continue
			}
			if layer(imp) > layer(p.ImportPath) {
				t.Errorf("%s imports %s: that way is against the grain", p.ImportPath, imp)
			}
			if strings.HasPrefix(p.ImportPath, module+"proxy") && strings.HasPrefix(imp, module+"runner") {
				t.Errorf("%s imports %s: the router knows nothing of jobs", p.ImportPath, imp)
			}
		}
	}
}

// homes are the packages in which an outside library may be used.
var homes = map[string][]string{
	"github.com/urfave/cli/v3":                        {"cmd/ccrun"},
	"github.com/sethvargo/go-githubactions":           {"runner/ci"},
	"gopkg.in/yaml.v3":                                {"runner/config"},
	"github.com/titanous/json5":                       {"runner/config"},
	"github.com/agnivade/levenshtein":                 {"runner/config"},
	"github.com/aws/aws-sdk-go-v2/aws":                {"proxy/upstream"},
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4":      {"proxy/upstream"},
	"github.com/aws/aws-sdk-go-v2/aws/transport/http": {"proxy/upstream"},
	"github.com/aws/aws-sdk-go-v2/config":             {"proxy/upstream"},
	"golang.org/x/oauth2":                             {"proxy/upstream"},
	"golang.org/x/oauth2/google":                      {"proxy/upstream"},
	"github.com/gofrs/flock":                          {"runner/agent"},
	"github.com/google/shlex":                         {"runner/agent"},
	"github.com/pkoukk/tiktoken-go":                   {"proxy/tokens"},
	"github.com/pkoukk/tiktoken-go-loader":            {"proxy/tokens"},
	"github.com/google/jsonschema-go/jsonschema":      {"proxy/dialect"},
	"github.com/tidwall/gjson":                        {"proxy/anthropic", "proxy/dialect", "proxy/cassette"},
	"github.com/tidwall/sjson":                        {"proxy/dialect", "proxy/cassette"},
	"golang.org/x/image/webp":                         {"proxy/tokens"},
	"golang.org/x/net/http/httpguts":                  {"runner/config"},
	"golang.org/x/net/http/httpproxy":                 {"proxy/upstream"},
	"golang.org/x/sys/unix":                           {"runner/process", "runner/agent"},
	"golang.org/x/sys/windows":                        {"runner/process", "runner/agent"},
}

func TestLibrariesHaveAHome(t *testing.T) {
	used := map[string][]string{}
	for _, p := range packages(t) {
		if strings.HasSuffix(p.ImportPath, "test") {
			continue // it helps tests, and is in no binary
		}
		for _, imp := range p.Imports {
			first, _, _ := strings.Cut(imp, "/")
			if !strings.Contains(first, ".") || strings.HasPrefix(imp, module) {
				continue
			}
			if strings.HasPrefix(imp, "github.com/go-json-experiment/json") {
				continue // wherever bodies are read and written
			}
			used[imp] = append(used[imp], strings.TrimPrefix(p.ImportPath, module))
		}
	}
	for lib, by := range used {
		for _, p := range by {
			if !slices.Contains(homes[lib], p) {
				t.Errorf("%s imports %s, whose home is %v", p, lib, homes[lib])
			}
		}
	}
	for lib, home := range homes {
		for _, p := range home {
			if !slices.Contains(used[lib], p) && lib != "golang.org/x/sys/windows" && lib != "golang.org/x/sys/unix" { // not on every system
				t.Errorf("%s is no home of %s any more", p, lib)
			}
		}
	}
}

func TestPackagesSayWhatTheyAre(t *testing.T) {
	for _, p := range packages(t) {
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}
