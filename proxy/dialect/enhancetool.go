package dialect

import (
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// The transformer enhancetool repairs the input of tool calls that is no JSON. An input is held until the reply ends, since a
// delta cannot be taken back. It is passed on as it came where a strict parse likes it, where the answer was cut by its
// limit, and where the repaired one would not be what the tool's schema asks for: the client then tells the model.
func enhanceTool(req *anthropic.Request, o Options) (Layer, error) {
	note := o.Note
	if note == nil {
		note = func(string) {}
	}
	return Layer{Reply: func(events iter.Seq2[anthropic.Event, error]) iter.Seq2[anthropic.Event, error] {
		return func(yield func(anthropic.Event, error) bool) {
			var calls []heldCall
			for e, err := range events {
				switch {
				case err != nil:
				case e.Kind == anthropic.ToolUse:
					calls = append(calls, heldCall{call: e.Call, name: e.Name})
				case e.Kind == anthropic.ToolInput:
					if c := heldOf(calls, e.Call); c != nil {
						c.input = append(c.input, e.Text...)
						continue
					}
				case e.Kind == anthropic.Stop:
					for _, c := range calls {
						text := string(c.input)
						if e.Text != "max_tokens" {
							text = mend(req, c.name, text, note)
						}
						if text != "" && !yield(anthropic.Event{Kind: anthropic.ToolInput, Call: c.call, Text: text}, nil) {
							return
						}
					}
				}
				if !yield(e, err) {
					return
				}
			}
		}
	}}, nil
}

// mend is the input of a call, repaired if that is needed and can be done. The words for the log say what was wrong, and not
// what the input is.
func mend(req *anthropic.Request, tool, input string, note func(string)) string {
	text := strings.TrimSpace(input)
	if text == "" || strings.HasPrefix(text, "{") && gjson.Valid(text) {
		return input
	}
	refuse := func(why string) string {
		note("the input of a call of tool " + tool + " is no JSON object and was passed on as it is: " + why)
		return input
	}
	i := slices.IndexFunc(req.Tools(), func(t anthropic.Tool) bool { return t.Name == tool })
	if i < 0 {
		return refuse("the client has no such tool")
	}
	schema := req.Tools()[i].Schema
	fixed, ok := repair(text)
	switch {
	case !ok:
		return refuse("it cannot be repaired")
	case fixed.inside && writesFiles(tool, schema):
		return refuse("its strings are the content of a file, which is not guessed")
	}
	if err := checkInput(schema, fixed.json); err != nil {
		return refuse("what a repair makes of it does not match the tool's schema")
	}
	note("the input of a call of tool " + tool + " was no JSON object and was repaired: it had " + strings.Join(fixed.faults, ", "))
	return fixed.json
}

// writesFiles tells whether strings of a tool's input become the content of files.
func writesFiles(tool string, schema anthropic.Raw) bool {
	switch tool {
	case "Write", "Edit", "MultiEdit", "NotebookEdit":
		return true
	}
	return containsAny(string(schema), `"new_string"`, `"new_source"`, `"file_text"`, `"new_str"`, `"insert_text"`, `"content"`)
}

// checkInput tells whether an input is what a tool's schema asks for. A schema that refers to other places is not followed
// there.
func checkInput(schema anthropic.Raw, input string) error {
	var s jsonschema.Schema
	if err := json.Unmarshal([]byte(schema), &s); err != nil {
		return fmt.Errorf("reading the schema: %w", err)
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		return fmt.Errorf("reading the schema: %w", err)
	}
	var value any
	if err := json.Unmarshal([]byte(input), &value); err != nil {
		return err
	}
	return resolved.Validate(value)
}
