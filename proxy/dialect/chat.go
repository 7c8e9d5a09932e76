package dialect

import (
	"net/url"
	"slices"
	"strconv"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// chat is OpenAI's Chat Completions, as its many providers speak it.
type chat struct{ q quirks }

// Encode writes the body in one pass: the parameters, the messages, the tools. Texts and schemas are copied as they stand in
// the client's body; what is no JSON inside of a string there is none in the provider's either.
func (c chat) Encode(req *anthropic.Request, o Options) (Call, error) {
	e := &encoder{q: c.q.forModel(o.Model), req: req, o: o, b: make([]byte, 0, req.Size()+req.Size()/16+2048)}
	e.offered()
	if err := e.head(); err != nil {
		return Call{}, err
	}
	e.messages()
	if e.sent == 0 {
		return Call{}, anthropic.Invalid("messages: there is nothing in them that can be sent")
	}
	e.tools()
	e.b = append(e.b, '}')
	path, query := e.path()
	d := reader{kind: e.q.name, q: e.q, stop: req.Stop, names: e.names, id: o.NewID("toolu_")}
	if e.searching {
		d.query = e.query()
	}
	return Call{Path: path, Query: query, Header: o.header(), Body: e.b, Whole: o.Whole, Notes: e.notes, Decode: d.decode}, nil
}

// Error reads a reply that is not 2xx.
func (c chat) Error(r Reply) *anthropic.Error { return failure(r) }

// encoder writes one body.
type encoder struct {
	q   quirks
	req *anthropic.Request
	o   Options
	b   []byte

	functions []anthropic.Tool // the tools that are offered
	searching bool             // the client asks for a web search
	names     []alias          // tool names that were changed
	notes     []string
	sent      int                // messages written
	skipMarks int                // cache_controls to leave out, of those that come first
	parts     []part             // scratch
	media     []part             // images and files of tool results, for the next user message
	answered  []*anthropic.Block // the tool results of this turn that are written
}

// path is that of the endpoint; at Azure it names the deployment, which is the model.
func (e *encoder) path() (path, query string) {
	switch e.q.azure {
	case "":
		return "/chat/completions", ""
	case "v1":
		return "/openai/v1/chat/completions", ""
	}
	return "/openai/deployments/" + url.PathEscape(e.o.Model) + "/chat/completions", "api-version=" + url.QueryEscape(e.q.azure)
}

// head writes the parameters: all of the body but messages and tools, small enough that a configured change may be made on
// it as a document.
func (e *encoder) head() error {
	req, q := e.req, &e.q
	e.b = append(e.b, `{"model":`...)
	e.b = anthropic.AppendQuote(e.b, e.o.Model)
	e.raw("stream", strconv.FormatBool(!e.o.Whole))
	if !q.noUsage && !e.o.Whole {
		e.raw("stream_options", `{"include_usage":true}`)
	}
	e.limit()
	if !q.fixed {
		e.temperature()
		e.raw("top_p", string(req.TopP))
	}
	if q.topK {
		e.raw("top_k", string(req.TopK))
	}
	e.stop()
	e.choice()
	e.thinking()
	e.format()
	e.cacheKey()
	if e.searching {
		e.search()
	}
	if len(q.add)+len(q.set) == 0 {
		return nil
	}
	head, err := q.patch(append(e.b, '}'))
	if err != nil {
		return err
	}
	e.b = head[:len(head)-1]
	return nil
}

// raw writes one parameter, unless its value is absent, or the provider is known to refuse it.
func (e *encoder) raw(key, value string) {
	if value == "" {
		return
	}
	if e.o.refused(key) {
		e.note(key + " is left out: the provider refused it for model " + e.o.Model)
		return
	}
	e.b = append(append(append(e.b, `,"`...), key...), `":`...)
	e.b = append(e.b, value...)
}

func (e *encoder) str(key, value string) { e.raw(key, string(anthropic.Quote(value))) }

// limit writes the longest answer. Which of its two names a model takes is sometimes only known when it refused the other.
func (e *encoder) limit() {
	n := e.o.longest(e.req.MaxTokens, e.q.maxOutput)
	if n == 0 {
		return
	}
	key, other := "max_tokens", completionTokens
	if e.q.maxKey != "" {
		key, other = e.q.maxKey, key
	}
	if e.o.refused(key) {
		key = other
	}
	e.raw(key, strconv.FormatInt(n, 10))
}

func (e *encoder) temperature() {
	t := string(e.req.Temperature)
	if n, err := strconv.ParseFloat(t, 64); err == nil && n == 0 && e.q.warm {
		t = "1e-8"
	}
	e.raw("temperature", t)
}

func (e *encoder) stop() {
	list := e.req.Stop
	if len(list) == 0 {
		return
	}
	if e.q.noStop {
		e.note("stop_sequences are left out: model " + e.o.Model + " takes none")
		return
	}
	if e.q.stopMax > 0 && len(list) > e.q.stopMax {
		e.note("only the first " + strconv.Itoa(e.q.stopMax) + " stop_sequences are sent: " + e.q.name + " takes no more")
		list = list[:e.q.stopMax]
	}
	e.b = append(e.b, `,"stop":[`...)
	for i, s := range list {
		e.comma(i)
		e.b = append(e.b, s...)
	}
	e.b = append(e.b, ']')
}

// cacheKey names the conversation for the provider's router of caches; it takes 64 characters.
func (e *encoder) cacheKey() {
	key := e.o.Session
	if key == "" && e.req.User != "" {
		key = digest(e.req.User, 32) // it names a device: that is not the provider's business
	}
	if !e.q.cacheKey || key == "" {
		return
	}
	if len(key) > 64 {
		key = digest(key, 32)
	}
	e.str("prompt_cache_key", key)
}

// format asks for an answer after a JSON schema.
func (e *encoder) format() {
	schema := e.req.Format.Get("schema")
	if e.req.Format.Get("type").Str != "json_schema" || !schema.IsObject() {
		return
	}
	if e.q.format == formatObject {
		e.raw("response_format", `{"type":"json_object"}`)
		return
	}
	name := e.req.Format.Get("name").Str
	if name == "" {
		name = "answer"
	}
	e.b = append(e.b, `,"response_format":{"type":"json_schema","json_schema":{"name":`...)
	e.b = anthropic.AppendQuote(e.b, toolName(name))
	e.raw("schema", schema.Raw)
	if strictSchema(schema) {
		e.raw("strict", "true")
	}
	e.b = append(e.b, "}}"...)
}

func (e *encoder) search() {
	switch e.q.search {
	case searchPlugins:
		e.raw("plugins", `[{"id":"web"}]`)
	case searchOptions:
		e.raw("web_search_options", "{}")
	default:
		e.note("the web_search tool is left out: " + e.q.name + " has no web search of its own here")
	}
}

func (e *encoder) note(s string) {
	if !slices.Contains(e.notes, s) {
		e.notes = append(e.notes, s)
	}
}

func (e *encoder) comma(i int) {
	if i > 0 {
		e.b = append(e.b, ',')
	}
}
