package dialect_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/ccrun/ccrun/proxy/dialect"
	"github.com/ccrun/ccrun/proxy/dialect/dialecttest"
)

func chatError(t *testing.T, status int, header http.Header, body string) string {
	t.Helper()
	row, err := dialect.Select("openai-compatible", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return dialecttest.ErrorLine(row.Dialect.Error(dialect.Reply{Status: status, Header: header, Body: strings.NewReader(body)}))
}

var errorShapes = []struct {
	name   string
	status int
	body   string
	want   string
}{
	{"openai", 401, `{"error":{"message":"Incorrect API key","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`, `401 authentication_error auth code="invalid_api_key": Incorrect API key`},
	{"quota", 429, `{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`, `402 billing_error quota code="insufficient_quota": You exceeded your current quota`},
	{"rate", 429, `{"error":{"message":"Rate limit reached for gpt-4","type":"tokens","code":"rate_limit_exceeded"}}`, `429 rate_limit_error rate_limited code="rate_limit_exceeded": Rate limit reached for gpt-4`},
	{"model", 404, `{"error":{"message":"The model 'x' does not exist","type":"invalid_request_error","code":"model_not_found"}}`, `404 not_found_error unknown_model code="model_not_found": The model 'x' does not exist`},
	{"model 403", 403, `{"error":{"message":"Project has no access to model x","code":"model_not_found"}}`, `403 permission_error unknown_model code="model_not_found": Project has no access to model x`},
	{"model 400", 400, `{"error":{"message":"Model Not Exist","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}`, `400 invalid_request_error unknown_model code="invalid_request_error": Model Not Exist`},
	{"openrouter model", 400, `{"error":{"message":"foo/bar is not a valid model ID","code":400},"user_id":"u"}`, `400 invalid_request_error unknown_model: foo/bar is not a valid model ID`},
	{"path", 404, `{"detail":"Not Found"}`, `404 not_found_error api_error: Not Found`},
	{"path text", 404, "404 page not found\n", `404 not_found_error api_error: 404 page not found`},
	{"deepseek", 402, `{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}`, `402 billing_error quota code="invalid_request_error": Insufficient Balance`},
	{"openrouter", 502, `{"error":{"message":"Provider returned error","code":502,"metadata":{"raw":"{\"error\":{\"message\":\"boom\",\"code\":\"E7\"}}","provider_name":"Acme"}},"user_id":"u"}`, `502 api_error overloaded code="E7": Provider returned error: Acme: boom`},
	{"openrouter text", 429, `{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"busy","provider_name":"Acme"}}}`, `429 rate_limit_error rate_limited: Provider returned error: Acme: busy`},
	{"ollama", 404, `{"error":"model \"x\" not found, try pulling it first"}`, `404 not_found_error unknown_model: model "x" not found, try pulling it first`},
	{"vllm", 400, `{"object":"error","message":"bad","type":"BadRequestError","param":null,"code":400}`, `400 invalid_request_error api_error code="BadRequestError": bad`},
	{"mistral", 422, `{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","x"],"msg":"Extra inputs are not permitted"}]},"type":"invalid_request_error","param":null,"code":null}`, `422 invalid_request_error api_error code="extra_forbidden": x: Extra inputs are not permitted`},
	{"fastapi", 422, `{"detail":[{"loc":["body","messages"],"msg":"field required","type":"value_error.missing"}]}`, `422 invalid_request_error api_error code="value_error.missing": messages: field required`},
	{"siliconflow", 400, `{"code":20012,"message":"bad model name","data":null}`, `400 invalid_request_error api_error code="20012": bad model name`},
	{"cloudflare", 400, `{"success":false,"errors":[{"code":5007,"message":"No such model @cf/x"}],"result":null,"messages":[]}`, `400 invalid_request_error unknown_model code="5007": No such model @cf/x`},
	{"xai", 400, `{"code":"Client specified an invalid argument","error":"bad thing"}`, `400 invalid_request_error api_error code="Client specified an invalid argument": bad thing`},
	{"list", 400, `[{"error":{"code":400,"message":"API key not valid","status":"INVALID_ARGUMENT"}}]`, `400 invalid_request_error api_error code="INVALID_ARGUMENT": API key not valid`},
	{"nested", 500, `{"error":{"message":"{\"error\":{\"message\":\"the cause\"}}"}}`, `500 api_error overloaded: the cause`},
	{"page", 502, "<html><head><title>502 Bad Gateway</title></head></html>", `502 api_error overloaded: the answer is a web page titled "502 Bad Gateway": is the base URL right?`},
	{"empty 413", 413, "", `413 request_too_large api_error: the provider answered HTTP 413 Request Entity Too Large without saying why`},
	{"empty object", 400, "{}", `400 invalid_request_error api_error: the provider answered HTTP 400 Bad Request without saying why`},
	{"groq tpm", 413, `{"error":{"message":"Request too large for model x on tokens per minute (TPM): Limit 6000, Requested 9000","type":"tokens","code":"rate_limit_exceeded"}}`, `429 rate_limit_error rate_limited code="rate_limit_exceeded": Request too large for model x on tokens per minute (TPM): Limit 6000, Requested 9000`},
	{"groq capacity", 498, `{"error":{"message":"capacity exceeded"}}`, `498 overloaded_error overloaded: capacity exceeded`},
	{"permission", 403, `{"error":{"message":"no"}}`, `403 permission_error auth: no`},
	{"overloaded", 503, `{"error":{"message":"busy"}}`, `503 overloaded_error overloaded: busy`},
	{"timeout", 504, "upstream request timeout", `504 timeout_error overloaded: upstream request timeout`},
}

func TestErrorShapes(t *testing.T) {
	for _, c := range errorShapes {
		t.Run(c.name, func(t *testing.T) {
			if got := chatError(t, c.status, nil, c.body); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestErrorWait(t *testing.T) {
	got := chatError(t, 429, http.Header{"Retry-After": {"7"}}, `{"error":{"message":"slow"}}`)
	if want := "429 rate_limit_error rate_limited wait=7s: slow"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Each is what a provider says of a prompt that is too long; the message must begin as Claude Code reads it.
var overflows = []struct {
	name   string
	status int
	body   string
	want   string // the message's beginning
}{
	{"openai", 400, `{"error":{"message":"This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens. Please reduce the length of the messages.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`, "prompt is too long: 130000 tokens > 128000 maximum. This model's"},
	{"openai responses", 400, `{"error":{"message":"Your input exceeds the context window of this model.","code":"context_length_exceeded"}}`, "prompt is too long: Your input"},
	{"deepseek", 400, `{"error":{"message":"This model's maximum context length is 131072 tokens. However, you requested 140000 tokens (132000 in the messages, 8000 in the completion). Please reduce the length of the messages or completion.","type":"invalid_request_error"}}`, "prompt is too long: 132000 tokens > 131072 maximum. "},
	{"deepseek answer", 400, `{"error":{"message":"This model's maximum context length is 131072 tokens. However, you requested 140000 tokens (100000 in the messages, 40000 in the completion). Please reduce the length of the messages or completion.","type":"invalid_request_error"}}`, "input length and `max_tokens` exceed context limit: 100000 + 40000 > 131072"},
	{"openrouter", 400, `{"error":{"message":"This endpoint's maximum context length is 131072 tokens. However, you requested about 150000 tokens (118000 of text input, 22000 of tool input, 10000 in the output). Please reduce the length of either one, or use the \"middle-out\" transform.","code":400}}`, "prompt is too long: 140000 tokens > 131072 maximum. "},
	{"vllm", 400, `{"object":"error","message":"This model's maximum context length is 8192 tokens. However, your request has 10000 input tokens. Please reduce the length of the input messages.","type":"BadRequestError","code":400}`, "prompt is too long: 10000 tokens > 8192 maximum. "},
	{"vllm answer", 400, `{"object":"error","message":"'max_tokens' or 'max_completion_tokens' is too large: 4000. This model's maximum context length is 8192 tokens and your request has 6000 input tokens (4000 > 8192 - 6000).","type":"BadRequestError","code":400}`, "input length and `max_tokens` exceed context limit: 6000 + 4000 > 8192"},
	{"sglang", 400, `{"object":"error","message":"The input (10000 tokens) is longer than the model's context length (8192 tokens).","type":"BadRequestError","code":400}`, "prompt is too long: 10000 tokens > 8192 maximum. "},
	{"sglang answer", 400, `{"object":"error","message":"Requested token count exceeds the model's maximum context length of 8192 tokens. You requested a total of 10000 tokens: 6000 tokens from the input messages and 4000 tokens for the completion.","code":400}`, "input length and `max_tokens` exceed context limit: 6000 + 4000 > 8192"},
	{"tgi", 422, "{\"error\":\"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 100 `max_new_tokens`\",\"error_type\":\"validation\"}", "prompt is too long: 5000 tokens > 4096 maximum. "},
	{"llama.cpp", 400, `{"error":{"code":400,"message":"the request exceeds the available context size, try increasing it","type":"exceed_context_size_error","n_prompt_tokens":5000,"n_ctx":4096}}`, "prompt is too long: 5000 tokens > 4096 maximum. "},
	{"llama.cpp 500", 500, `{"error":{"code":500,"message":"request (5000 tokens) exceeds the available context size (4096 tokens)","type":"server_error"}}`, "prompt is too long: 5000 tokens > 4096 maximum. "},
	{"lm studio", 400, `{"error":"Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough. The number of tokens to keep from the initial prompt is greater than the context length"}`, "prompt is too long: 5000 tokens > 4096 maximum. "},
	{"moonshot", 400, `{"error":{"message":"Invalid request: Your request exceeded model token limit: 131072 (requested: 140000)","type":"invalid_request_error"}}`, "prompt is too long: 140000 tokens > 131072 maximum. "},
	{"dashscope", 400, `{"error":{"message":"<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 98304]","type":"invalid_request_error","code":"invalid_parameter_error"}}`, "prompt is too long: <400> InternalError"},
	{"mistral", 400, `{"object":"error","message":"Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length","type":"invalid_request_error","param":null,"code":"3051"}`, "prompt is too long: 40000 tokens > 32768 maximum. "},
	{"github", 400, `{"error":{"message":"prompt token count of 140,000 exceeds the limit of 128,000","code":"model_max_prompt_tokens_exceeded"}}`, "prompt is too long: 140000 tokens > 128000 maximum. "},
	{"github 413", 413, `{"error":{"message":"Request body too large for gpt-4o model. Max size: 8000 tokens.","code":"model_max_prompt_tokens_exceeded"}}`, "prompt is too long: Request body"},
	{"gemini", 400, `{"error":{"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","code":400}}`, "prompt is too long: 1200000 tokens > 1048576 maximum. "},
	{"xai", 400, `{"code":"x","error":"This model's maximum prompt length is 131072 but the request contains 150000 tokens."}`, "prompt is too long: 150000 tokens > 131072 maximum. "},
	{"groq", 400, `{"error":{"message":"Please reduce the length of the messages or completion.","type":"invalid_request_error","code":"context_length_exceeded"}}`, "prompt is too long: Please reduce"},
	{"minimax", 400, `{"error":{"message":"invalid params, context window exceeds limit (2013)"}}`, "prompt is too long: invalid params"},
	{"a plain limit", 400, `{"error":{"message":"the maximum allowed input length is 4096 tokens"}}`, "prompt is too long: the maximum"},
	{"openrouter raw", 400, `{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"error\":{\"message\":\"This model's maximum context length is 100 tokens. However, your messages resulted in 200 tokens.\"}}","provider_name":"Acme"}}}`, "prompt is too long: 200 tokens > 100 maximum. Provider returned error: Acme: This model's"},
}

func TestOverflow(t *testing.T) {
	for _, c := range overflows {
		t.Run(c.name, func(t *testing.T) {
			got := chatError(t, c.status, nil, c.body)
			head, message, _ := strings.Cut(got, ": ")
			if !strings.HasPrefix(head, "400 invalid_request_error context_overflow") || !strings.HasPrefix(message, c.want) {
				t.Errorf("got  %s\nwant 400 invalid_request_error context_overflow: %s…", got, c.want)
			}
		})
	}
}

func TestNotOverflow(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
	}{
		"string length":  {400, `{"error":{"message":"Invalid 'tools[0].function.name': string too long. Expected a string with maximum length 64, but got a string with length 70 instead."}}`},
		"max_tokens":     {400, `{"error":{"message":"max_tokens is too large: 128000. This model supports at most 16384 completion tokens, whereas you provided 128000.","code":"invalid_value"}}`},
		"max_tokens cap": {400, `{"error":{"message":"Invalid max_tokens value, the valid range of max_tokens is [1, 8192]"}}`},
		"per minute":     {429, `{"error":{"message":"Request too large for gpt-4o: Limit 30000 tokens per min, maximum context length","code":"rate_limit_exceeded"}}`},
		"per minute 400": {400, `{"error":{"message":"Rate limit reached on tokens per minute (TPM), please reduce the length of the messages"}}`},
		"policy":         {400, `{"error":{"message":"The response was filtered due to the content management policy. context window","code":"content_filter"}}`},
		"no right":       {403, `{"error":{"message":"your plan has no access to this context window"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := chatError(t, c.status, nil, c.body); strings.Contains(got, "context_overflow") || strings.Contains(got, "prompt is too long") {
				t.Errorf("taken for an overflow: %s", got)
			}
		})
	}
}

func TestErrorBodyIsCapped(t *testing.T) {
	if got := chatError(t, 500, nil, string(bytes.Repeat([]byte("x"), 1<<21))); len(got) > 10<<10 {
		t.Errorf("a message of %d bytes", len(got))
	}
}
