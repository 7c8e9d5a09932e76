package dialect

import (
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// alias is a tool's name that had to be changed for the provider.
type alias struct{ sent, own string }

// offered sorts the client's tools: those with a schema are functions, the provider's own have none to offer.
func (e *encoder) offered() {
	for _, t := range e.req.Tools() {
		switch {
		case t.WebSearch():
			e.searching = true
		case t.Server():
			e.note("tool " + t.Name + " is left out: only an Anthropic model can run a tool of type " + t.Type)
		default:
			e.functions = append(e.functions, t)
			if sent := toolName(t.Name); sent != t.Name {
				e.names = append(e.names, alias{sent, t.Name})
			}
		}
	}
}

func (e *encoder) tools() {
	if len(e.functions) == 0 {
		return
	}
	e.b = append(e.b, `,"tools":[`...)
	for i, t := range e.functions {
		e.comma(i)
		e.b = append(e.b, `{"type":"function","function":{"name":`...)
		e.b = anthropic.AppendQuote(e.b, toolName(t.Name))
		if !t.Description.Empty() {
			e.raw("description", string(t.Description))
		}
		e.b = append(e.b, `,"parameters":`...)
		e.b = append(e.schema(t.Schema), "}}"...)
	}
	e.b = append(e.b, ']')
}

// schema appends a tool's schema as the client wrote it. OpenAI refuses an object without properties, so these are added.
func (e *encoder) schema(s anthropic.Raw) []byte {
	if e.q.bareSchema && s.Get("$schema").Exists() {
		if bare, err := sjson.Delete(string(s), "$schema"); err == nil {
			s = anthropic.Raw(bare)
		}
	}
	rest, ok := strings.CutPrefix(string(s), "{")
	rest = strings.TrimLeft(rest, " \t\r\n")
	switch {
	case !ok || rest == "}":
		return append(e.b, `{"type":"object","properties":{}}`...)
	case s.Get("type").Str == "object" && !s.Get("properties").Exists():
		return append(append(e.b, `{"properties":{},`...), rest...)
	}
	return append(e.b, s...)
}

// choice writes tool_choice. Without functions there is none: it would be refused.
func (e *encoder) choice() {
	if len(e.functions) == 0 {
		return
	}
	switch c := e.req.Choice; c.Type {
	case "auto", "none":
		e.str("tool_choice", c.Type)
	case "any":
		e.str("tool_choice", "required")
	case "tool":
		if e.offers(c.Name) {
			e.raw("tool_choice", `{"type":"function","function":{"name":`+string(anthropic.Quote(toolName(c.Name)))+`}}`)
		}
	}
	if e.req.Choice.NoParallel {
		if e.q.noParallel {
			e.note("disable_parallel_tool_use is left out: " + e.q.name + " has no such parameter")
			return
		}
		e.raw("parallel_tool_calls", "false")
	}
}

func (e *encoder) offers(name string) bool {
	for _, t := range e.functions {
		if t.Name == name {
			return true
		}
	}
	return false
}

const longestName = 64

// toolName makes a function's name of a tool's: letters, digits, _ and -, at most 64. One that is none keeps its beginning
// and ends with a part of its hash, so that it is the same in every turn.
func toolName(name string) string {
	if len(name) > 0 && len(name) <= longestName && strings.IndexFunc(name, notInName) < 0 {
		return name
	}
	short := strings.Map(func(r rune) rune {
		if notInName(r) {
			return '_'
		}
		return r
	}, name)
	return short[:min(len(short), longestName-9)] + "_" + digest(name, 8)
}

func notInName(r rune) bool {
	return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

// digest is n hex digits of a hash.
func digest(s string, n int) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])[:n]
}

// Ids of tool calls that Anthropic's API would refuse in a history (Kimi's functions.Bash:0) reach the client in hex behind
// this mark, so that a later turn may go to any provider.
const idMark = "ccrunid_"

// clientID makes the id that the client is given, of a provider's.
func clientID(id string) string {
	if strings.IndexFunc(id, notInName) < 0 {
		return id
	}
	return idMark + hex.EncodeToString([]byte(id))
}

// callID is what the provider is sent for the client's id: its own again, in the form that it takes. What makes an id unique
// in the client's history stays behind it.
func (q *quirks) callID(id string) string {
	if rest, ok := strings.CutPrefix(id, idMark); ok {
		code, tail, found := strings.Cut(rest, "_")
		if own, err := hex.DecodeString(code); err == nil {
			id = string(own)
			if found {
				id += "_" + tail
			}
		}
	}
	switch {
	case q.idExact:
		if len(id) == q.idLen && strings.IndexFunc(id, func(r rune) bool { return r == '_' || r == '-' || notInName(r) }) < 0 {
			return id
		}
		return base62(id, q.idLen)
	case q.idLen > 0 && len(id) > q.idLen:
		return id[:q.idLen-9] + "_" + digest(id, 8)
	}
	return id
}

// base62 is n letters and digits of a hash.
func base62(s string, n int) string {
	sum := sha256.Sum256([]byte(s))
	text := new(big.Int).SetBytes(sum[:]).Text(62)
	return (text + strings.Repeat("0", n))[:n]
}

// strictSchema tells whether a schema keeps the rules under which OpenAI enforces one: no object takes more properties than
// it names, and all of them are required.
func strictSchema(s gjson.Result) bool {
	if s.IsArray() {
		return allStrict(s)
	}
	if !s.IsObject() {
		return true
	}
	if properties := s.Get("properties"); s.Get("type").Str == "object" || properties.IsObject() {
		closed := s.Get("additionalProperties")
		if closed.Type != gjson.False || !allRequired(properties, s.Get("required")) {
			return false
		}
	}
	return allStrict(s)
}

func allStrict(s gjson.Result) bool {
	ok := true
	s.ForEach(func(_, v gjson.Result) bool {
		ok = strictSchema(v)
		return ok
	})
	return ok
}

func allRequired(properties, required gjson.Result) bool {
	names := required.Array()
	ok := true
	properties.ForEach(func(k, _ gjson.Result) bool {
		ok = false
		for _, n := range names {
			ok = ok || n.Str == k.Str
		}
		return ok
	})
	return ok
}
