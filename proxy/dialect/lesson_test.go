package dialect_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/dialect"
)

// The words are those of the providers.
func TestLearnt(t *testing.T) {
	for _, c := range []struct {
		provider, body string
		max            int64
		drop           string
	}{
		{"openai", `{"error":{"message":"max_tokens is too large: 32000. This model supports at most 16384 completion tokens, whereas you provided 32000.","type":"invalid_request_error","param":"max_tokens","code":"invalid_value"}}`, 16384, ""},
		{"openai", `{"error":{"message":"Invalid 'max_output_tokens': integer above maximum value. Expected a value <= 128000, but got 200000 instead.","code":"integer_above_max_value"}}`, 128000, ""},
		{"openai", `{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","code":"unsupported_parameter"}}`, 0, "max_tokens"},
		{"openai", `{"error":{"message":"Unsupported value: 'temperature' does not support 0.7 with this model. Only the default (1) value is supported.","code":"unsupported_value"}}`, 0, "temperature"},
		{"openai", `{"error":{"message":"Unsupported parameter: 'parallel_tool_calls' is not supported with this model.","code":"unsupported_parameter"}}`, 0, "parallel_tool_calls"},
		{"openai", `{"error":{"message":"Unrecognized request argument supplied: reasoning_effort","type":"invalid_request_error"}}`, 0, "reasoning_effort"},
		{"openai", `{"error":{"message":"Unsupported parameter: 'reasoning.effort' is not supported with this model.","code":"unsupported_parameter"}}`, 0, "reasoning.effort"},
		{"openai", `{"error":{"message":"Your organization must be verified to generate reasoning summaries.","code":"unsupported_value"}}`, 0, "reasoning.summary"},
		{"azure, of another maker's model", `{"error":{"code":"unrecognized_request_argument","message":"Unrecognized request argument supplied: prompt_cache_key"}}`, 0, "prompt_cache_key"},
		{"azure", `{"error":{"message":"Unknown parameter: 'prompt_cache_key'.","code":"unknown_parameter"}}`, 0, "prompt_cache_key"},
		{"deepseek", `{"error":{"message":"Invalid max_tokens value, the valid range of max_tokens is [1, 8192]","type":"invalid_request_error"}}`, 8192, ""},
		{"deepseek", `{"error":{"message":"deepseek-reasoner does not support this tool_choice"}}`, 0, "tool_choice"},
		{"groq", "{\"error\":{\"message\":\"`max_tokens` must be less than or equal to `8192`, the maximum value for `max_tokens` is less than the `context_window` for this model\"}}", 8192, ""},
		{"groq", `{"error":{"message":"property 'parallel_tool_calls' is unsupported"}}`, 0, "parallel_tool_calls"},
		{"groq", `{"error":{"message":"'messages.0' : for 'role:system' the following must be satisfied[('messages.0' : property 'cache_control' is unsupported)]"}}`, 0, "cache_control"},
		{"anthropic", `{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: 32000 > 8192, which is the maximum allowed number of output tokens for claude-3-5-sonnet-20241022"}}`, 8192, ""},
		{"bedrock", `{"message":"The maximum tokens you requested exceeds the model limit of 4096. Try again with a maximum tokens value that is lower than 4096."}`, 4095, ""},
		{"dashscope", `{"error":{"message":"<400> InternalError.Algo.InvalidParameter: Range of max_tokens should be [1, 65536]","code":"invalid_parameter_error"}}`, 65536, ""},
		{"volcengine", `{"error":{"message":"The parameter max_tokens specified in the request is not valid: integer above maximum value, expected a value <= 12288, but got 32000 instead."}}`, 12288, ""},
		{"cohere", `{"message":"too many tokens: max tokens must be less than or equal to 4096, the maximum output length"}`, 4096, ""},
		{"zhipu", `{"error":{"code":"1210","message":"max_tokens 参数非法，取值范围 [1, 98304]"}}`, 98304, ""},
		{"gemini", `{"error":{"code":400,"message":"Unable to submit request because it has a maxOutputTokens value of 100000 but the supported range is from 1 (inclusive) to 65537 (exclusive). Update the value and try again.","status":"INVALID_ARGUMENT"}}`, 65536, ""},
		{"gemini", `{"error":{"code":400,"message":"Thinking level is not supported for this model.","status":"INVALID_ARGUMENT"}}`, 0, "thinking"},
		{"gemini", `{"error":{"code":400,"message":"Invalid JSON payload received. Unknown name \"stream_options\": Cannot find field.","status":"INVALID_ARGUMENT"}}`, 0, "stream_options"},
		{"cerebras", `{"detail":[{"type":"less_than_equal","loc":["body","max_completion_tokens"],"msg":"Input should be less than or equal to 40960"}]}`, 40960, ""},
		{"mistral", `{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted","input":{}}]}`, 0, "stream_options"},
		{"fireworks", `{"error":{"message":"Extra inputs are not permitted, field: 'parallel_tool_calls', value: False"}}`, 0, "parallel_tool_calls"},
		{"vllm", `{"object":"error","message":"max_tokens must be at most 4096, got 32000.","type":"BadRequestError","code":400}`, 4096, ""},
		{"litellm", `{"error":{"message":"UnsupportedParamsError: groq does not support parameters: ['reasoning_effort'], for model=llama-3","code":"400"}}`, 0, "reasoning_effort"},
		{"xai", `{"code":"Client specified an invalid argument","error":"Argument not supported on this model: stop"}`, 0, "stop"},
		{"xai", `{"code":"Client specified an invalid argument","error":"Model grok-4 does not support parameter reasoningEffort."}`, 0, "reasoning_effort"},
		{"ollama", `{"error":{"message":"\"gemma3\" does not support thinking","type":"api_error"}}`, 0, "thinking"},
		{"bedrock", "{\"message\":\"`temperature` and `top_p` cannot both be specified for this model. Please use only one.\"}", 0, "temperature"},
		{"novita", `{"message":"max_tokens must be between 1 and 16000"}`, 16000, ""},
		{"an unknown one", `{"error":{"message":"maximum value for max_tokens is 2,048"}}`, 2048, ""},

		// No lessons.
		{"overflow", `{"error":{"message":"This model's maximum context length is 8192 tokens. However, you requested 40000 tokens (8000 in the messages, 32000 in the completion). Please reduce the length of the messages or completion.","code":"context_length_exceeded"}}`, 0, ""},
		{"vllm", `{"message":"'max_tokens' or 'max_completion_tokens' is too large: 32000. This model's maximum context length is 32768 tokens and your request has 4000 input tokens (32000 > 32768 - 4000).","code":400}`, 0, ""},
		{"a schema", `{"error":{"message":"Invalid schema for function 'set_heat': In context=('properties', 'temperature'), 'format' is not permitted."}}`, 0, ""},
		{"a model", `{"error":{"message":"The model 'x' does not exist"}}`, 0, ""},
		{"images", `{"error":{"message":"This model does not support image input"}}`, 0, ""},
		{"tools", `{"error":{"message":"registry.ollama.ai/library/gemma does not support tools"}}`, 0, ""},
		{"a missing signature", `{"error":{"message":"Function call is missing a thought_signature in functionCall parts."}}`, 0, ""},
		{"deepseek", `{"error":{"message":"The reasoning_content in the thinking mode must be passed back to the API."}}`, 0, ""},
	} {
		row, err := dialect.Select("plain", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		e := row.Dialect.Error(dialect.Reply{Status: http.StatusBadRequest, Body: strings.NewReader(c.body)})
		got, ok := dialect.Learnt(e)
		if want := (dialect.Lesson{MaxOutput: c.max, Drop: c.drop}); got != want || ok != (want != dialect.Lesson{}) {
			t.Errorf("%s: %s\n got %+v, %v, want %+v", c.provider, e.Message, got, ok, want)
		}
	}
	limited := anthropic.ForStatus(http.StatusTooManyRequests, "max_tokens is too large: at most 5 output tokens per minute")
	if got, ok := dialect.Learnt(limited); ok {
		t.Errorf("a rate limit teaches %+v", got)
	}
}
