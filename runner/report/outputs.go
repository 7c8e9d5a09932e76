package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxInline is the longest value of an output, in bytes. A host counts two bytes for a character and takes one MiB for
// all outputs of a job.
const maxInline = 256 << 10

// Output is one value for later steps of the job.
type Output struct{ Name, Value string }

// Outputs are the same names on every host, in this order, each always there; a value that is not known is "". A result
// that is too long is cut and says so; JSON cannot be cut, so a structured output that is too long is left out.
func (r *Report) Outputs() []Output {
	t := r.Totals
	return []Output{
		{"conclusion", r.Conclusion},
		{"reason", r.Reason},
		{"denied_tools", r.deniedNames()},
		{"result", r.inlineResult()},
		{"result_file", r.Files.Result},
		{"structured_output", inlineJSON(r.StructuredOutput)},
		{"session_id", r.SessionID},
		{"attempts", strconv.Itoa(len(r.Attempts))},
		{"turns", r.turnsOutput()},
		{"requests", strconv.Itoa(t.Requests)},
		{"duration_seconds", strconv.FormatFloat(r.DurationSeconds, 'f', -1, 64)},
		{"cost_usd", t.costOutput()},
		{"cost_known", strconv.FormatBool(t.CostKnown)},
		{"input_tokens", t.tokenOutput(func(t *Tokens) int64 { return t.Input })},
		{"output_tokens", t.tokenOutput(func(t *Tokens) int64 { return t.Output })},
		{"cache_read_tokens", t.tokenOutput(func(t *Tokens) int64 { return t.CacheRead })},
		{"cache_write_tokens", t.tokenOutput(func(t *Tokens) int64 { return t.CacheWrite })},
		{"models", inlineJSON(encode(r.Models))},
		{"usage", inlineJSON(encode(t))},
		{"execution_file", r.Files.Execution},
		{"summary_file", r.Files.Summary},
		{"report_file", r.Files.Report},
	}
}

// deniedNames is the names of the tools, each once, with commas between: a step can test it for "".
func (r *Report) deniedNames() string {
	var names []string
	for _, d := range r.DeniedTools {
		if name := strings.ReplaceAll(line(d.Tool), ",", ""); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

func (r *Report) inlineResult() string {
	if len(r.Result) <= maxInline {
		return r.Result
	}
	where := "result_file has it all"
	if r.Files.Result == "" {
		where = "no file has the rest"
	}
	note := fmt.Sprintf("\n\n[cut at %d KiB of %d bytes: %s]", maxInline>>10, len(r.Result), where)
	return head(r.Result, maxInline-len(note)) + note
}

func inlineJSON(v jsontext.Value) string {
	if len(v) > maxInline/2 {
		return ""
	}
	return string(v)
}

func (r *Report) turnsOutput() string {
	if r.Turns == nil {
		return ""
	}
	return strconv.Itoa(*r.Turns)
}

func (b Bill) costOutput() string {
	if b.CostUSD == nil {
		return ""
	}
	return b.CostUSD.String()
}

func (b Bill) tokenOutput(kind func(*Tokens) int64) string {
	if b.Tokens == nil {
		return ""
	}
	return strconv.FormatInt(kind(b.Tokens), 10)
}

// encode is compact JSON of our own types, which always have one.
func encode(v any, options ...json.Options) jsontext.Value {
	out, err := json.Marshal(v, append(options, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))...)
	if err != nil {
		panic("report: encode: " + err.Error())
	}
	return out
}

// JSON is the report itself, indented, with a newline at the end.
func (r *Report) JSON() []byte {
	return append(encode(r, jsontext.WithIndent("  ")), '\n')
}
