package dialecttest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/dialect"
)

// Spec is a fixture's options.json: the target, and how the fixture is read. Unknown keys are errors.
type Spec struct {
	Row       string            `json:"row"`       // the row of quirks, or the provider's name
	URL       string            `json:"url"`       // the provider's base URL
	Use       []json.RawMessage `json:"use"`       // transformer.use of a config: "name" or ["name",{options}]
	Model     string            `json:"model"`     // "" sends the client's own
	Session   string            `json:"session"`   // dialect.Options.Session
	MaxOutput int64             `json:"maxOutput"` // dialect.Limits
	Window    int64             `json:"window"`
	Prompt    int64             `json:"prompt"`  // dialect.Options.Prompt
	Refused   []string          `json:"refused"` // parameters of dialect.Options.Lessons
	Learnt    int64             `json:"learnt"`  // the longest answer of dialect.Options.Lessons
	Blind     bool              `json:"blind"`
	Count     bool              `json:"count"` // the call is Counter.Count, not Encode
	Chomp     bool              `json:"chomp"` // the reply's last newline is not a part of it
}

// Uses are the entries of Use.
func (s Spec) Uses() ([]dialect.Use, error) {
	var out []dialect.Use
	for _, raw := range s.Use {
		var u dialect.Use
		if json.Unmarshal(raw, &u.Name) == nil {
			out = append(out, u)
			continue
		}
		var pair []json.RawMessage
		if err := json.Unmarshal(raw, &pair); err != nil || len(pair) != 2 {
			return nil, fmt.Errorf("use: %s is neither \"name\" nor [\"name\",{options}]", raw)
		}
		if err := errors.Join(json.Unmarshal(pair[0], &u.Name), json.Unmarshal(pair[1], &u.Options)); err != nil {
			return nil, fmt.Errorf("use: %s: %w", raw, err)
		}
		out = append(out, u)
	}
	return out, nil
}

// Fixture is one file, read.
type Fixture struct {
	Spec    Spec
	Request *anthropic.Request
	Status  int
	Header  http.Header // of the reply
	Body    []byte      // of the reply

	text       []byte // Body as it is written
	wire       func(text []byte) []byte
	file       string
	archive    *txtar.Archive
	hasRequest bool
	hasReply   bool
	notes      []string // of decoding
}

const shortRequest = `{"model":"claude-test","max_tokens":1000,"stream":true,"messages":[{"role":"user","content":"hi"}]}`

var sections = []string{"options.json", "request.http", "request.json", "want-call", "want-body.json", "want-notes", "want-refusal",
	"reply.http", "reply", "want-events", "want-usage", "want-error"}

// Read reads a fixture.
func Read(file string) (*Fixture, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	f := &Fixture{file: file, archive: txtar.Parse(data)}
	for _, s := range f.archive.Files {
		if !slices.Contains(sections, s.Name) {
			return nil, fmt.Errorf("%s: unknown section %q", file, s.Name)
		}
	}
	if err := errors.Join(f.readSpec(), f.readRequest(), f.readReply()); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return f, nil
}

func (f *Fixture) readSpec() error {
	data, ok := f.section("options.json")
	if !ok {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&f.Spec); err != nil {
		return fmt.Errorf("options.json: %w", err)
	}
	return nil
}

func (f *Fixture) readRequest() error {
	body, ok := f.section("request.json")
	if !ok {
		body = []byte(shortRequest)
	}
	var err error
	if f.Request, err = anthropic.Parse(bytes.TrimSuffix(body, []byte("\n"))); err != nil {
		return fmt.Errorf("request.json: %w", err)
	}
	f.hasRequest, f.Request.Header = ok, http.Header{}
	head, ok := f.section("request.http")
	if !ok {
		return nil
	}
	line, header, err := readHead(head)
	if err != nil {
		return fmt.Errorf("request.http: %w", err)
	}
	_, f.Request.Query, _ = strings.Cut(line, "?")
	f.Request.Header = header
	return nil
}

func (f *Fixture) readReply() error {
	body, ok := f.section("reply")
	f.hasReply, f.Body, f.Status = ok, body, 200
	if f.Spec.Chomp {
		f.Body = bytes.TrimSuffix(body, []byte("\n"))
	}
	f.Header = http.Header{"Content-Type": {"text/event-stream"}}
	head, ok := f.section("reply.http")
	if !ok {
		return nil
	}
	line, header, err := readHead(head)
	if err == nil {
		f.Header = header
		f.Status, err = strconv.Atoi(line)
	}
	if err != nil {
		return fmt.Errorf("reply.http: %w", err)
	}
	return nil
}

// readHead reads a first line and the headers behind it.
func readHead(data []byte) (string, http.Header, error) {
	r := textproto.NewReader(bufio.NewReader(bytes.NewReader(append(bytes.TrimRight(data, "\n"), "\n\n"...))))
	line, err := r.ReadLine()
	if err != nil {
		return "", nil, err
	}
	h, err := r.ReadMIMEHeader()
	if err != nil && !errors.Is(err, io.EOF) {
		return "", nil, err
	}
	return line, http.Header(h), nil
}

func (f *Fixture) section(name string) ([]byte, bool) {
	for _, s := range f.archive.Files {
		if s.Name == name {
			return s.Data, true
		}
	}
	return nil, false
}

// want compares a section with what was got; have is false where there should be no such section. With -update it is
// written instead, by save.
func (f *Fixture) want(t *testing.T, name, got string, have bool) {
	t.Helper()
	if have {
		got = strings.TrimSuffix(got, "\n") + "\n"
	}
	data, ok := f.section(name)
	if *update {
		f.set(name, got, have)
		return
	}
	switch {
	case have && !ok:
		t.Errorf("section %s is missing: run with -update and review what it says\n%s", name, got)
	case ok && !have:
		t.Errorf("section %s should not be there", name)
	case have && string(data) != got:
		t.Errorf("%s differs\n got:\n%s want:\n%s", name, got, data)
	}
}

// set writes a section, at its place in the order of sections.
func (f *Fixture) set(name, data string, have bool) {
	files := slices.DeleteFunc(f.archive.Files, func(s txtar.File) bool { return s.Name == name })
	if have {
		files = append(files, txtar.File{Name: name, Data: []byte(data)})
	}
	slices.SortStableFunc(files, func(a, b txtar.File) int {
		return slices.Index(sections, a.Name) - slices.Index(sections, b.Name)
	})
	f.archive.Files = files
}

func (f *Fixture) save(t *testing.T) {
	if !*update {
		return
	}
	if err := os.WriteFile(f.file, txtar.Format(f.archive), 0o644); err != nil {
		t.Fatal(err)
	}
}
