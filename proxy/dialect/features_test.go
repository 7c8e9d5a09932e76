package dialect_test

import (
	"flag"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/dialect"
	"github.com/ccrun/ccrun/proxy/dialect/dialecttest"
)

// shown is what a fixture shows: its sections, and whose they are.
type shown struct {
	test, row string // as in "TestChat", "deepseek"
	name      string // of the fixture
	spec      dialecttest.Spec
	part      map[string]string // the sections
}

func (s shown) events(kind string) bool { return lineOf(kind).MatchString(s.part["want-events"]) }

func lineOf(kind string) *regexp.Regexp { return regexp.MustCompile(`(?m)^` + kind + `\b`) }

// native tells whether a frame of a native reply has that in it.
func (s shown) native(part string) bool {
	return strings.Contains(s.part["want-events"], `"type":"`+part+`"`)
}

// asked tells whether a block of that type is in the client's conversation.
func (s shown) asked(kind string) bool {
	found := false
	for _, m := range gjson.Get(s.part["request.json"], "messages").Array() {
		for _, b := range m.Get("content").Array() {
			found = found || b.Get("type").Str == kind || b.Get(`content.#(type=="`+kind+`")`).Exists()
		}
	}
	return found
}

// calls counts the calls of the reply.
func (s shown) calls() int {
	return len(lineOf("tool_use").FindAllString(s.part["want-events"], -1)) + strings.Count(s.part["want-events"], `"content_block":{"type":"tool_use"`)
}

// thought tells whether the client's history had thinking and the reply had some.
func (s shown) thought() bool {
	return s.asked("thinking") && (s.events("thinking") || s.events("signature") || s.native("thinking_delta"))
}

var sentBack = regexp.MustCompile(`"reasoning_content":"[^"]|"reasoning_details":\[|"type":"reasoning"|"thoughtSignature":|"type":"thinking"`)

// features are the columns: what a fixture must have to stand for one.
var features = []struct {
	name  string
	shows func(shown) bool
}{
	{"text", func(s shown) bool { return s.events("text") || s.native("text_delta") }},
	{"tools", func(s shown) bool { return s.asked("tool_result") && s.calls() > 0 }},
	{"parallel tools", func(s shown) bool { return s.calls() > 1 }},
	{"thinking round trip", func(s shown) bool { return s.thought() && s.calls() > 0 }},
	{"images", func(s shown) bool {
		return s.asked("image") && (strings.Contains(s.part["want-body.json"], "iVBORw0KGgo") || strings.Contains(s.part["want-body.json"], "image is left out"))
	}},
	{"cache usage", func(s shown) bool { return strings.Contains(s.part["want-usage"], "cache_") }},
	{"web search", func(s shown) bool {
		return s.events("search") || regexp.MustCompile(`"googleSearch"|"plugins":\[|"type":"web_search|"web_search_options"`).MatchString(s.part["want-body.json"])
	}},
	{"errors", func(s shown) bool { return s.part["want-error"] != "" && s.part["want-error"] != "truncated\n" }},
	{"overflow", func(s shown) bool { return strings.Contains(s.part["want-error"], "context_overflow") }},
}

var folders = map[string]string{"anthropic": "TestAnthropic", "bedrock": "TestBedrock", "chat": "TestChat", "gemini": "TestGemini", "responses": "TestResponses", "vertex": "TestVertex"}

func allShown(t *testing.T) []shown {
	var all []shown
	for _, dir := range slices.Sorted(maps.Keys(folders)) {
		files, err := filepath.Glob(filepath.Join("testdata", dir, "*.txtar"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no fixtures in %s (%v)", dir, err)
		}
		for _, file := range files {
			f, err := dialecttest.Read(file)
			if err != nil {
				t.Fatal(err)
			}
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := shown{test: folders[dir], name: strings.TrimSuffix(filepath.Base(file), ".txtar"), spec: f.Spec, part: map[string]string{}}
			for _, part := range archive.Files {
				s.part[part.Name] = string(part.Data)
			}
			s.row = rowOfFixture(t, dir, f.Spec)
			all = append(all, s)
		}
	}
	return all
}

// rowOfFixture finds the row as the fixture's test does. The row vertex has a language of its own for each maker's models.
func rowOfFixture(t *testing.T, dir string, s dialecttest.Spec) string {
	uses, err := s.Uses()
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	name := s.Row
	if name == "" && u.Host == "" {
		name = map[string]string{"chat": "openai-compatible", "responses": "openai-compatible"}[dir]
		if name == "" {
			name = dir
		}
	}
	row, err := dialect.Select(name, u.Host, uses)
	switch {
	case err != nil:
		t.Fatal(err)
	case row.Name != "vertex":
		return row.Name
	case strings.HasPrefix(s.Model, "claude"):
		return "vertex-claude"
	case strings.Contains(s.Model, "/"):
		return "vertex-openai"
	}
	return "vertex-gemini"
}

// cell is the best test for a feature of a row: one that shows a whole turn, else the first.
func cell(feature string, mine []shown, shows func(shown) bool) string {
	best := ""
	var of shown
	for _, s := range mine {
		if !shows(s) {
			continue
		}
		whole := strings.Contains(s.name, "turn") || feature == "errors" && strings.HasPrefix(s.name, "error")
		if best == "" || whole && !strings.Contains(best, "turn") && !strings.HasPrefix(best, "error") {
			best, of = s.name, s
		}
	}
	if feature == "thinking round trip" && best != "" && !sentBack.MatchString(of.part["want-body.json"]) {
		return best + " (shown)"
	}
	return best
}

// common are the tests of errors that hold for all rows of chat and responses, by the row that a case is named after.
func common(feature, row string) string {
	var names []string
	test := map[string]string{"errors": "TestErrorShapes", "overflow": "TestOverflow"}[feature]
	switch feature {
	case "errors":
		for _, c := range errorShapes {
			names = append(names, c.name)
		}
	case "overflow":
		for _, c := range overflows {
			names = append(names, c.name)
		}
	}
	for _, name := range names {
		first, _, _ := strings.Cut(name, " ")
		for _, provider := range []string{strings.ReplaceAll(name, " ", "-"), first} {
			if found, err := dialect.Select(provider, "", nil); err == nil && found.Name == row && row != "openai-compatible" {
				return test + "/" + strings.ReplaceAll(name, " ", "_")
			}
		}
	}
	return test
}

const featuresHead = `# What is tested of each dialect

A cell is a subtest of the test in the first column, as in ` + "`go test ./proxy/dialect -run TestChat/deepseek-turns`" + `; one that begins
with Test is a test of its own, which holds for all rows of the dialect where it names none. "shown": the model's thinking is
shown to the client and not sent back, as the provider does not want it; "hidden": its models keep it to themselves; "left out":
the provider has no search, and a note says that the tool is not sent.

This table is made of the fixtures by ` + "`go test ./proxy/dialect -run TestFeatures -update`" + `.

`

// TestFeatures keeps the table of what is tested, and wants a whole turn with tools of every row.
func TestFeatures(t *testing.T) {
	type key struct{ test, row string }
	rows := map[key][]shown{}
	for _, s := range allShown(t) {
		k := key{s.test, s.row}
		rows[k] = append(rows[k], s)
	}
	keys := slices.SortedFunc(maps.Keys(rows), func(a, b key) int { return strings.Compare(a.test+" "+a.row, b.test+" "+b.row) })
	var out strings.Builder
	out.WriteString(featuresHead + "| test | row |")
	for _, f := range features {
		out.WriteString(" " + f.name + " |")
	}
	out.WriteString("\n|---|---|" + strings.Repeat("---|", len(features)) + "\n")
	turns := map[string]bool{}
	for _, k := range keys {
		if cell("text", rows[k], features[0].shows) == "" {
			continue // nothing but parameters is tested of it here
		}
		if k.test == "TestVertex" && k.row == "vertex-gemini" {
			continue // it stands under TestGemini
		}
		fmt.Fprintf(&out, "| %s | %s |", k.test, k.row)
		for _, f := range features {
			name := cell(f.name, rows[k], f.shows)
			if name == "" && (f.name == "errors" || f.name == "overflow") && (k.test == "TestChat" || k.test == "TestResponses" || k.row == "vertex-openai") {
				name = common(f.name, k.row)
			}
			if name == "" && (f.name == "errors" || f.name == "overflow") && k.test == "TestGemini" { // read by the same code
				name = cell(f.name, rows[key{k.test, "gemini"}], f.shows)
			}
			turns[k.row+" "+f.name] = turns[k.row+" "+f.name] || name != ""
			if name == "" {
				name = ofAllRows(k.test, k.row, f.name)
			}
			if name == "" {
				t.Errorf("%s, row %s: %s is shown by no test", k.test, k.row, f.name)
			}
			out.WriteString(" " + name + " |")
		}
		out.WriteString("\n")
	}
	for _, row := range dialect.Rows() {
		if row != "vertex" && !turns[row+" tools"] {
			t.Errorf("row %s: no fixture has a tool's result and a call in the reply", row)
		}
		if row != "vertex" && !turns[row+" thinking round trip"] && !silent[row] {
			t.Errorf("row %s: no fixture has thinking in the history and in a reply with a call", row)
		}
	}
	fresh(t, "../../.github/DIALECTS.md", out.String())
}

// ofAllRows is the test of a feature that no fixture of the row shows, since all rows of the language have it alike.
func ofAllRows(test, row, feature string) string {
	switch {
	case row == "bedrock" || row == "vertex-claude":
		return "TestCloudsCopyTheConversation"
	case feature == "web search":
		return map[bool]string{true: "TestDescribe (left out)", false: "TestDescribe"}[about(row).Search == "no"]
	case test == "TestResponses":
		return "TestResponsesRows"
	case feature == "cache usage" && test == "TestChat":
		return "TestChatCacheUsage"
	case feature == "thinking round trip" && silent[row]:
		return "TestDescribe (hidden)"
	}
	return ""
}

func about(row string) dialect.About {
	a, _ := dialect.Describe(row)
	return a
}

// silent are the rows whose models keep their thinking to themselves.
var silent = map[string]bool{"azure": true, "github": true}

// fresh compares a file with what it should be; with -update it is written.
func fresh(t *testing.T, file, want string) {
	t.Helper()
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is stale: run go test ./proxy/dialect -run TestFeatures -update", file)
	}
}
