package dialect

import (
	"slices"
	"strconv"
	"strings"
)

// quirks is what sets one provider of the chat dialect apart from OpenAI's documentation of 2024, which all of them follow.
// The zero value is a provider without quirks. A row of the table is one provider; model, where there is one, changes the
// row for one of its models.
type quirks struct {
	name  string
	names []string // other names of the provider, and of claude-code-router's transformers
	hosts []string // ends of host names; ":1234" is a port
	auth  string   // how a key is sent, "bearer" where empty
	azure string   // the api-version of a URL that names the deployment; "v1" has none

	// The conversation.
	developer bool   // reasoning models are given the system prompt as developer
	system    string // the role of system prompts where it is not "system"
	strict    bool   // chat templates want roles to take turns: late system messages are user text, user messages in a row one
	between   bool   // no user message behind a tool message: an assistant's stands between
	prefix    bool   // an assistant message at the end says prefix:true
	blank     bool   // content "" where others take null
	blind     bool   // no images
	files     bool   // PDF files
	cache     bool   // cache_control is kept, at most 4 of them
	idLen     int    // longest id of a tool call; 0: any
	idExact   bool   // ids are exactly idLen letters and digits

	// Parameters.
	maxKey     string // "max_tokens" where empty
	maxOutput  int64  // tokens; 0: unknown
	fixed      bool   // temperature and top_p are refused
	warm       bool   // temperature 0 is refused
	topK       bool
	noStop     bool
	stopMax    int // most stop strings; 0: any number
	noParallel bool
	noUsage    bool // stream_options is refused; usage comes unasked
	bareSchema bool // $schema is refused
	format     format
	search     search
	cacheKey   bool // prompt_cache_key
	think      think
	noThink    bool     // thinking is switched off by the config
	efforts    []string // the levels of reasoning_effort, the lowest first; nil: there is no such parameter
	add        []param  // written where the body has no such key
	set        []param  // written over what the body has

	// The reply.
	replay  replay
	owed    bool // in thinking mode assistant messages must carry reasoning_content, an empty one where none is known
	tags    tags // thinking may stand in the text, between <think> and </think>
	charged bool // usage.cost is the price in US dollars

	model func(q *quirks, model string) // model: lower case, without what stands before the last slash
}

type param struct {
	key string
	raw string // JSON
}

// format is how a JSON schema for the answer is sent.
type format uint8

const (
	formatSchema format = iota // response_format json_schema
	formatObject               // response_format json_object; the schema stands in the system prompt
)

// search is how the provider's own web search is switched on.
type search uint8

const (
	searchNone    search = iota
	searchPlugins        // plugins:[{"id":"web"}]
	searchOptions        // web_search_options:{}
)

// think is the parameter that rules thinking.
type think uint8

const (
	thinkNone      think = iota
	thinkEffort          // reasoning_effort
	thinkReasoning       // reasoning{effort | max_tokens | enabled}
	thinkType            // thinking{type}, and reasoning_effort where there are levels
	thinkEnable          // enable_thinking, thinking_budget
	thinkTemplate        // chat_template_kwargs, only to switch it off
	thinkDisable         // disable_reasoning, only to switch it off; and reasoning_effort
	thinkBoth            // thinking{type} and enable_thinking
)

// replay is how the provider is given its own thinking back.
type replay uint8

const (
	replayNone    replay = iota
	replayContent        // reasoning_content
	replayDetails        // reasoning_details
)

// tags is where in the text of an answer <think> is a tag.
type tags uint8

const (
	tagsNowhere  tags = iota
	tagsAtStart       // nothing but spaces stands before it
	tagsAnywhere      // text may stand before it, unless it ends with a quotation mark
)

const completionTokens = "max_completion_tokens"

var (
	lowHigh = []string{"low", "medium", "high"}
	plain   = quirks{name: "openai-compatible", model: openaiModel}
)

// table has a row for every provider that is known to need one. The names are those of claude-code-router where it has one.
var table = []quirks{
	{name: "openai", hosts: []string{"api.openai.com"}, developer: true, files: true, idLen: 40, stopMax: 4, cacheKey: true, model: openaiModel},
	{name: "azure", names: []string{"azure-openai", "azure_openai"}, hosts: []string{".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com"},
		auth: "api-key", azure: "2024-10-21", developer: true, idLen: 40, stopMax: 4, cacheKey: true, model: openaiModel},
	{name: "github", names: []string{"github-models", "github_models"}, hosts: []string{"models.github.ai", "models.inference.ai.azure.com"}, idLen: 40, stopMax: 4, model: openaiModel},
	{name: "aihubmix", hosts: []string{"aihubmix.com"}, idLen: 40, model: openaiModel},
	{name: "deepseek", hosts: []string{"api.deepseek.com"}, blind: true, stopMax: 16, format: formatObject, replay: replayContent, model: deepseekModel},
	{name: "openrouter", hosts: []string{"openrouter.ai"}, files: true, topK: true, idLen: 64, search: searchPlugins, think: thinkReasoning,
		efforts: []string{"none", "minimal", "low", "medium", "high", "xhigh"}, replay: replayDetails, charged: true, model: claudeCache},
	{name: "vercel", hosts: []string{"ai-gateway.vercel.sh"}, files: true, topK: true, idLen: 64, think: thinkReasoning,
		efforts: []string{"none", "minimal", "low", "medium", "high", "xhigh"}, replay: replayDetails, model: claudeCache},
	{name: "ollama", hosts: []string{":11434", "ollama.com"}, topK: true, model: ollamaModel},
	{name: "lmstudio", names: []string{"lm-studio", "lm_studio"}, hosts: []string{":1234"}, topK: true, strict: true},
	{name: "vllm", topK: true, strict: true, think: thinkTemplate, model: gptOSS},
	{name: "sglang", hosts: []string{":30000"}, topK: true, strict: true, think: thinkTemplate, model: gptOSS},
	{name: "llamacpp", names: []string{"llama.cpp", "llama-cpp"}, topK: true, strict: true, think: thinkTemplate, model: gptOSS},
	{name: "nvidia", names: []string{"nim", "nvidia-nim"}, hosts: []string{"integrate.api.nvidia.com"}, strict: true, think: thinkTemplate, model: gptOSS},
	{name: "groq", hosts: []string{"api.groq.com"}, warm: true, stopMax: 4, bareSchema: true, model: groqModel},
	{name: "mistral", hosts: []string{"api.mistral.ai", "codestral.mistral.ai"}, strict: true, between: true, prefix: true,
		idLen: 9, idExact: true, noUsage: true, cacheKey: true},
	{name: "cerebras", hosts: []string{"api.cerebras.ai"}, blind: true, noParallel: true, stopMax: 4, model: cerebrasModel},
	{name: "cohere", hosts: []string{"api.cohere.com", "api.cohere.ai"}, noParallel: true, model: cohereModel},
	{name: "dashscope", names: []string{"qwen", "bailian", "aliyun"}, hosts: []string{"dashscope.aliyuncs.com", "dashscope-intl.aliyuncs.com", "dashscope-us.aliyuncs.com"},
		maxOutput: 65536, model: qwenModel},
	{name: "modelscope", hosts: []string{"api-inference.modelscope.cn"}, maxOutput: 65536, model: qwenModel},
	{name: "volcengine", names: []string{"ark", "doubao"}, hosts: []string{".volces.com", ".bytepluses.com"}, replay: replayContent, model: arkModel},
	{name: "siliconflow", hosts: []string{"api.siliconflow.cn", "api.siliconflow.com"}, maxOutput: 16384, model: siliconModel},
	{name: "moonshot", names: []string{"kimi", "moonshotai"}, hosts: []string{"api.moonshot.cn", "api.moonshot.ai", "api.kimi.com"}, cacheKey: true, replay: replayContent, model: kimiModel},
	{name: "zhipu", names: []string{"zai", "z.ai", "z-ai", "glm", "bigmodel"}, hosts: []string{"open.bigmodel.cn", "api.z.ai"}, replay: replayContent, model: glmModel},
	{name: "minimax", names: []string{"minimaxi"}, hosts: []string{"api.minimax.io", "api.minimax.chat", "api.minimaxi.com"}, strict: true, tags: tagsAtStart,
		replay: replayDetails, add: []param{{"reasoning_split", "true"}}},
	{name: "xai", names: []string{"x.ai", "grok"}, hosts: []string{"api.x.ai"}, model: grokModel},
	{name: "cloudflare", names: []string{"workers-ai"}, hosts: []string{"api.cloudflare.com", "gateway.ai.cloudflare.com"}, blank: true},
	{name: "together", names: []string{"togetherai", "together-ai"}, hosts: []string{"api.together.xyz", "api.together.ai"}, topK: true, tags: tagsAtStart, model: gptOSS},
	{name: "fireworks", names: []string{"fireworks-ai"}, hosts: []string{"api.fireworks.ai"}, topK: true, tags: tagsAtStart, model: gptOSS},
}

// forModel is the row as it holds for one model.
func (q quirks) forModel(model string) quirks {
	if q.model != nil {
		base := strings.ToLower(model)
		q.model(&q, base[strings.LastIndexByte(base, '/')+1:])
	}
	return q
}

// openaiModel: reasoning models (o1…, gpt-5…) refuse max_tokens, sampling and stop.
func openaiModel(q *quirks, m string) {
	if strings.Contains(m, "search") {
		q.search, q.fixed = searchOptions, true
	}
	major, minor := gptVersion(m)
	oSeries := len(m) > 1 && m[0] == 'o' && m[1] >= '1' && m[1] <= '9' && (len(m) == 2 || m[2] == '-')
	switch {
	case major < 5 && !oSeries:
		return
	case strings.Contains(m, "-chat"):
		q.maxKey = completionTokens
		return
	case oSeries:
		q.efforts = lowHigh
	case strings.Contains(m, "-pro"):
		q.efforts = []string{"high"}
	case strings.Contains(m, "codex") && major == 5 && minor < 1:
		q.efforts = lowHigh
	case major == 5 && minor < 1:
		q.efforts = []string{"minimal", "low", "medium", "high"}
	case major == 5 && minor < 2 && !strings.Contains(m, "max"):
		q.efforts = []string{"none", "low", "medium", "high"}
	default:
		q.efforts = []string{"none", "low", "medium", "high", "xhigh"}
	}
	q.maxKey, q.fixed, q.noStop, q.think = completionTokens, true, true, thinkEffort
	if q.developer {
		q.system = "developer"
	}
}

// gptVersion reads gpt-5.1-codex as 5, 1; 0 for another model.
func gptVersion(m string) (major, minor int) {
	rest, ok := strings.CutPrefix(m, "gpt-")
	if !ok {
		return 0, 0
	}
	rest, _, _ = strings.Cut(rest, "-")
	a, b, _ := strings.Cut(rest, ".")
	major, err := strconv.Atoi(a)
	if err != nil { // gpt-4o, gpt-oss
		return 0, 0
	}
	minor, _ = strconv.Atoi(b) // "" is 0, as is meant
	return major, minor
}

// deepseekModel: deepseek-chat is the alias without thinking and stays that; the others think unless told not to.
func deepseekModel(q *quirks, m string) {
	switch {
	case m == "deepseek-chat" || m == "deepseek-coder":
		q.maxOutput = 8192
		return
	case m == "deepseek-reasoner":
		q.maxOutput = 65536
	}
	q.think, q.efforts, q.owed = thinkType, []string{"low", "high", "max"}, true
}

// claudeCache: only these models are given cache_control; others refuse it.
func claudeCache(q *quirks, m string) {
	q.cache = strings.Contains(m, "claude") || strings.Contains(m, "gemini")
}

// gptOSS: the open models of OpenAI know three levels wherever they are served.
func gptOSS(q *quirks, m string) {
	if strings.Contains(m, "gpt-oss") {
		q.think, q.efforts = thinkEffort, lowHigh
	}
}

// ollamaModel: a level is a 400 for a model that cannot think; those that can do so unasked.
func ollamaModel(q *quirks, m string) {
	q.think, q.efforts = thinkEffort, []string{"none"}
	gptOSS(q, m)
}

func groqModel(q *quirks, m string) {
	gptOSS(q, m)
	if strings.Contains(m, "qwen3") {
		q.think, q.efforts = thinkEffort, []string{"none", "default"}
		q.add = slices.Concat(q.add, []param{{"reasoning_format", `"parsed"`}})
	}
}

func cerebrasModel(q *quirks, m string) {
	gptOSS(q, m)
	if strings.Contains(m, "glm") {
		q.think = thinkDisable
	}
}

func cohereModel(q *quirks, m string) {
	if strings.Contains(m, "reasoning") {
		q.think, q.efforts = thinkEffort, []string{"none", "high"}
	}
}

// qwenModel: only the hybrid models have the switch.
func qwenModel(q *quirks, m string) {
	hybrid := strings.HasPrefix(m, "qwen3") || strings.HasPrefix(m, "qwen-plus") || strings.HasPrefix(m, "qwen-flash") || strings.HasPrefix(m, "qwen-turbo")
	if hybrid && !strings.Contains(m, "coder") && !strings.Contains(m, "instruct") && !strings.Contains(m, "thinking") {
		q.think = thinkEnable
	}
}

func siliconModel(q *quirks, m string) {
	switch {
	case strings.Contains(m, "deepseek-v4"):
		q.think, q.efforts = thinkEffort, []string{"high", "max"}
	case strings.Contains(m, "glm-4.") || strings.Contains(m, "deepseek-v3."):
		q.think = thinkEnable
	default:
		qwenModel(q, m)
	}
}

func arkModel(q *quirks, m string) {
	if strings.Contains(m, "seed") || strings.Contains(m, "deepseek-v3") || strings.Contains(m, "deepseek-v4") || strings.Contains(m, "glm") {
		q.think = thinkType
	}
}

func kimiModel(q *quirks, m string) {
	switch {
	case strings.Contains(m, "thinking"):
		q.owed = true
	case strings.HasPrefix(m, "kimi-k2.") || strings.HasPrefix(m, "kimi-k3"):
		q.think, q.owed = thinkType, true
	}
}

func glmModel(q *quirks, m string) {
	if strings.HasPrefix(m, "glm-4.") || strings.HasPrefix(m, "glm-5") {
		q.think = thinkType
	}
}

func grokModel(q *quirks, m string) {
	if strings.HasPrefix(m, "grok-3-mini") {
		q.think, q.efforts = thinkEffort, []string{"low", "high"}
	}
	if strings.HasPrefix(m, "grok-3-mini") || strings.HasPrefix(m, "grok-4") {
		q.noStop = true
	}
}
