package dialect

import (
	"slices"
	"strconv"
	"strings"
)

// generation is what sets the models of the gemini dialect apart.
type generation struct {
	major     int      // 3 for Gemini 3.x; 0: no Gemini
	least     int64    // of thinkingBudget, for models that have one: those of 2.5
	most      int64    // 0: the model has no budget
	stops     bool     // a budget of 0 switches thinking off
	levels    []string // of thinkingLevel, for models that have it: those from 3 on
	maxOutput int64    // tokens
}

// generationOf reads a model's name. An alias such as gemini-flash-latest is of the newest generation.
func generationOf(model string) generation {
	base := strings.ToLower(model)
	base = base[strings.LastIndexByte(base, '/')+1:]
	rest, ok := strings.CutPrefix(base, "gemini-")
	if !ok {
		return generation{}
	}
	version, _, _ := strings.Cut(rest, "-")
	a, b, _ := strings.Cut(version, ".")
	major, err := strconv.Atoi(a)
	minor, _ := strconv.Atoi(b) // "" is 0, as is meant
	switch {
	case err != nil && strings.HasSuffix(rest, "-latest"):
		major, minor = 3, 1
	case err != nil: // gemini-pro, gemini-exp-1206
		major = 1
	}
	g := generation{major: major, maxOutput: 8192}
	speaks := containsAny(rest, "image", "tts", "audio", "live")
	pro := strings.Contains(rest, "pro")
	switch {
	case major >= 3:
		g.maxOutput = 65536
		g.levels = []string{"minimal", "low", "medium", "high"}
		switch {
		case speaks:
			g.levels = nil
		case pro && major == 3 && minor == 0:
			g.levels = []string{"low", "high"}
		case pro:
			g.levels = []string{"low", "medium", "high"}
		}
	case major == 2 && minor >= 5:
		g.maxOutput = 65536
		switch {
		case speaks:
		case pro:
			g.least, g.most = 128, 32768
		case strings.Contains(rest, "lite"):
			g.least, g.most, g.stops = 512, 24576, true
		default:
			g.least, g.most, g.stops = 0, 24576, true
		}
	}
	return g
}

// thinking writes thinkingConfig. Where the client says nothing the model's default stands.
func (e *geminiEncoder) thinking() {
	want := e.wanted()
	if want == "" || e.g.most == 0 && e.g.levels == nil || e.o.refused("thinking") {
		return
	}
	e.field("thinkingConfig")
	e.b = append(e.b, '{')
	if want != "none" {
		e.set("includeThoughts", "true")
	}
	if e.g.levels != nil {
		e.q.efforts = e.g.levels
		e.set("thinkingLevel", `"`+strings.ToUpper(e.q.level(want))+`"`)
	} else {
		e.set("thinkingBudget", strconv.FormatInt(e.budget(want), 10))
	}
	e.b = append(e.b, '}')
}

// budget is thinkingBudget: the client's own, else that of its effort in Google's own scale; -1 leaves it to the model, which
// is what adaptive means. Thoughts count against maxOutputTokens, so that half of it is left for the answer.
func (e *geminiEncoder) budget(want string) int64 {
	g, own := &e.g, e.req.Thinking
	n := int64(-1)
	switch {
	case want == "none" && g.stops:
		return 0
	case want == "none":
		return g.least
	case own.Type == "enabled" && own.Budget > 0:
		n = own.Budget
	case want == "minimal":
		n = 512
	case want == "low":
		n = 1024
	case want == "medium":
		n = 8192
	case want == "xhigh" || want == "max":
		n = g.most
	}
	if room := e.room(); room > 0 && (n >= room || n < 0 && room < 8192) {
		n = room / 2
	}
	if n < 0 {
		return n
	}
	return min(max(n, g.least), g.most)
}

// configured takes over what a config's transformers ask for in the words of Chat Completions.
func (e *geminiEncoder) configured() {
	set := e.q.set
	e.q.set = nil
	e.q.add = slices.Clip(e.q.add)
	for _, p := range set {
		switch own := geminiNames[p.key]; {
		case own != "": // joined with what the client asks for, where it wins
			e.q.add = append(e.q.add, param{"generationConfig", `{"` + own + `":` + p.raw + `}`})
		case p.key == "repetition_penalty":
			e.note("repetition_penalty is left out: " + e.q.name + " has no such parameter")
		default:
			e.q.set = append(e.q.set, p)
		}
	}
}

var geminiNames = map[string]string{"temperature": "temperature", "top_p": "topP", "top_k": "topK"}
