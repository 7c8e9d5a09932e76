package dialect

import (
	"strings"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// offered sorts the client's tools. Gemini's own search stands beside functions only from Gemini 3 on, and not on Vertex.
func (e *geminiEncoder) offered() {
	for _, t := range e.req.Tools() {
		switch {
		case t.WebSearch():
			e.searching = true
			if len(t.Raw.Get("allowed_domains").Array())+len(t.Raw.Get("blocked_domains").Array()) > 0 {
				e.note("the domains of web_search are left out: Google's search cannot be confined to some")
			}
		case t.Server():
			e.note("tool " + t.Name + " is left out: only an Anthropic model can run a tool of type " + t.Type)
		default:
			e.functions = append(e.functions, t)
			if sent := geminiName(t.Name); sent != t.Name {
				e.names = append(e.names, alias{sent, t.Name})
			}
		}
	}
	if e.searching && len(e.functions) > 0 && (e.vertex || e.g.major < 3) {
		e.searching = false
		e.note("the web_search tool is left out: " + e.q.name + " has no search beside other tools for model " + e.model)
	}
}

// geminiName is toolName, with a letter or _ at its beginning.
func geminiName(name string) string {
	sent := toolName(name)
	if c := sent[0]; c == '-' || c >= '0' && c <= '9' {
		sent = toolName("_" + sent)
	}
	return sent
}

func (e *geminiEncoder) tools() {
	if len(e.functions) == 0 && !e.searching {
		return
	}
	e.field("tools")
	e.b = append(e.b, '[')
	for i, t := range e.functions {
		if i == 0 {
			e.b = append(e.b, `{"functionDeclarations":[`...)
		}
		e.comma(i)
		e.declaration(t)
	}
	if len(e.functions) > 0 {
		e.b = append(e.b, "]}"...)
	}
	if e.searching {
		e.comma(len(e.functions))
		e.b = append(e.b, `{"googleSearch":{}}`...)
	}
	e.b = append(e.b, ']')
}

// declaration writes one function. Its description is mandatory.
func (e *geminiEncoder) declaration(t anthropic.Tool) {
	name := anthropic.Quote(geminiName(t.Name))
	e.b = append(append(e.b, `{"name":`...), name...)
	if t.Description.Empty() {
		t.Description = name
	}
	e.set("description", string(t.Description))
	end := len(e.b)
	e.field("parameters")
	out, ok := geminiParameters(e.b, t.Schema)
	if e.b = out; !ok {
		e.b = e.b[:end]
	}
	e.b = append(e.b, '}')
}

// choice writes toolConfig.
func (e *geminiEncoder) choice() {
	if e.req.Choice.NoParallel && len(e.functions) > 0 {
		e.note("disable_parallel_tool_use is left out: " + e.q.name + " has no such parameter")
	}
	mode := ""
	switch c := e.req.Choice; {
	case len(e.functions) == 0:
	case c.Type == "auto" || c.Type == "any" || c.Type == "none":
		mode = `{"mode":"` + strings.ToUpper(c.Type) + `"}`
	case c.Type == "tool" && e.offers(c.Name):
		mode = `{"mode":"ANY","allowedFunctionNames":[` + string(anthropic.Quote(geminiName(c.Name))) + `]}`
	}
	both := e.searching && len(e.functions) > 0
	if mode == "" && !both {
		return
	}
	e.field("toolConfig")
	e.b = append(e.b, '{')
	e.set("functionCallingConfig", mode)
	if both {
		e.set("includeServerSideToolInvocations", "true")
	}
	e.b = append(e.b, '}')
}
