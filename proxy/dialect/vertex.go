package dialect

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// vertexClaude is Anthropic's own language behind Vertex AI: the model stands in the path and the version in the body.
type vertexClaude struct {
	maxOutput int64 // the longest answer that is asked for, in tokens; 0: any
	place     vertexPlace
}

// vertex is Vertex AI with the models of all makers: each is spoken to in its own language, which its name tells.
type vertex struct {
	claude vertexClaude
	gemini gemini
	open   vertexOpen
}

// vertexOpen is Chat Completions behind Vertex AI, for models such as deepseek-ai/deepseek-v3.2-maas.
type vertexOpen struct {
	chat
	place vertexPlace
}

var (
	vertexClaudeRow = quirks{name: "vertex-claude", auth: "google"}
	vertexOpenRow   = quirks{name: "vertex-openai", auth: "google", model: gptOSS}
	vertexAllRow    = quirks{name: "vertex", names: []string{"vertexai", "vertex-ai"}, auth: "google", files: true, stopMax: 5,
		hosts: []string{"aiplatform.googleapis.com", "-aiplatform.googleapis.com", "aiplatform.us.rep.googleapis.com", "aiplatform.eu.rep.googleapis.com"}}

	vertexEnvelope = envelope{cloud: "Vertex", version: "vertex-2023-10-16", betas: with(cloudBetas,
		"compact-2026-09-04", "per-turn-control-2026-07-01", "web-search-2025-03-05")}
)

// newVertex makes the dialect of the row for all makers; what is configured holds for each as far as its language knows it.
func newVertex(q quirks, at vertexPlace) vertex {
	g, o := q, vertexOpenRow
	g.name = vertexRow.name
	o.add, o.set, o.maxOutput = q.add, q.set, q.maxOutput
	return vertex{claude: vertexClaude{q.maxOutput, at}, gemini: newGemini(g, at), open: vertexOpen{chat{o}, at}}
}

// Encode copies the request into Vertex's envelope.
func (v vertexClaude) Encode(req *anthropic.Request, o Options) (Call, error) {
	body, flags, notes := vertexEnvelope.body(req, o, v.maxOutput)
	method := "rawPredict"
	if req.Stream {
		method = "streamRawPredict"
	}
	c := Call{Path: v.place.path("anthropic", o.modelOf(req), method), Header: vertexHeader(flags), Body: body, Notes: notes}
	stream := req.Stream
	c.Decode = func(r Reply) iter.Seq2[anthropic.Event, error] {
		return func(yield func(anthropic.Event, error) bool) { decodeNative(r, stream, yield) }
	}
	return c, nil
}

// Count copies the request; here the model stands in the body.
func (v vertexClaude) Count(req *anthropic.Request, o Options) (Call, error) {
	body, _, notes := vertexEnvelope.body(req, o, 0)
	body = append(anthropic.AppendQuote(append(body[:len(body)-1], `,"model":`...), o.modelOf(req)), '}')
	return Call{Path: v.place.path("anthropic", "count-tokens", "rawPredict"), Header: vertexHeader(nil), Body: body, Notes: notes,
		Decode: countOf("input_tokens")}, nil
}

func vertexHeader(flags []string) http.Header {
	h := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}
	if len(flags) > 0 {
		h["Anthropic-Beta"] = []string{strings.Join(flags, ",")}
	}
	return h
}

// Error reads a reply that is not 2xx: the model's is in Anthropic's envelope and passed on, the cloud's in Google's.
func (vertexClaude) Error(r Reply) *anthropic.Error {
	body, err := io.ReadAll(io.LimitReader(r.Body, longestErrorBody))
	e := nativeError(Reply{Status: r.Status, Header: r.Header}, body)
	if e.Body == nil && gjson.ValidBytes(body) {
		googleDetails(e, gjson.ParseBytes(body))
	}
	if err != nil {
		e.Err = cutOff(err)
	}
	return e
}

// path is that of a method of a publisher's model. Without a project the base URL names the place.
func (p vertexPlace) path(publisher, model, method string) string {
	return p.prefix() + "/publishers/" + publisher + "/models/" + url.PathEscape(model) + ":" + method
}

func (p vertexPlace) prefix() string {
	if p.project == "" {
		return ""
	}
	return "/v1/projects/" + url.PathEscape(p.project) + "/locations/" + url.PathEscape(cmp.Or(p.location, "global"))
}

// Encode is that of chat, at another path.
func (v vertexOpen) Encode(req *anthropic.Request, o Options) (Call, error) {
	c, err := v.chat.Encode(req, o)
	c.Path = v.place.prefix() + "/endpoints/openapi" + c.Path
	return c, err
}

func (v vertex) of(model string) Dialect {
	switch low := strings.ToLower(model); {
	case strings.HasPrefix(low, "claude"):
		return v.claude
	case strings.Contains(low, "/") && !strings.HasPrefix(low, "models/"):
		return v.open
	}
	return v.gemini
}

// Encode writes the request in the language of the model.
func (v vertex) Encode(req *anthropic.Request, o Options) (Call, error) {
	return v.of(o.modelOf(req)).Encode(req, o)
}

// Count writes the call that counts in the language of the model.
func (v vertex) Count(req *anthropic.Request, o Options) (Call, error) {
	if c, ok := v.of(o.modelOf(req)).(Counter); ok {
		return c.Count(req, o)
	}
	return Call{}, fmt.Errorf("counting tokens: Vertex does not count for the model %s", o.modelOf(req))
}

// Error reads a reply that is not 2xx, whose form tells whose it is.
func (v vertex) Error(r Reply) *anthropic.Error { return v.claude.Error(r) }
