package upstream

import "testing"

func TestEndpoint(t *testing.T) {
	const chat, messages = "/chat/completions", "/v1/messages"
	tests := []struct{ base, path, want string }{
		{"https://api.openai.com/v1", chat, "https://api.openai.com/v1/chat/completions"},
		{"https://api.openai.com/v1/", chat, "https://api.openai.com/v1/chat/completions"},
		{"https://api.openai.com/v1/chat/completions", chat, "https://api.openai.com/v1/chat/completions"},
		{"https://api.openai.com", chat, "https://api.openai.com/v1/chat/completions"},
		{"http://localhost:11434/", chat, "http://localhost:11434/v1/chat/completions"},
		{"https://api.deepseek.com/chat/completions", chat, "https://api.deepseek.com/chat/completions"},
		{"https://api.z.ai/api/paas/v4", chat, "https://api.z.ai/api/paas/v4/chat/completions"},
		{"https://api.anthropic.com", messages, "https://api.anthropic.com/v1/messages"},
		{"https://api.anthropic.com/v1", messages, "https://api.anthropic.com/v1/messages"},
		{"https://api.anthropic.com/v1/messages", messages, "https://api.anthropic.com/v1/messages"},
		{"https://api.deepseek.com/anthropic", messages, "https://api.deepseek.com/anthropic/v1/messages"},
		{"https://api.anthropic.com/v1/messages", messages + "/count_tokens", "https://api.anthropic.com/v1/messages/count_tokens"},
		{"https://g.example/v1beta/models/", "/v1beta/models/gemini:streamGenerateContent", "https://g.example/v1beta/models/gemini:streamGenerateContent"},
		{"https://g.example", "/v1beta/models/gemini:countTokens", "https://g.example/v1beta/models/gemini:countTokens"},
		{"https://gw.example/a%2Fb/v1", chat, "https://gw.example/a%2Fb/v1/chat/completions"},
		{"https://gw.example/x?team=ci", chat, "https://gw.example/x/chat/completions?team=ci"},
		{"https://bedrock-runtime.us-east-1.amazonaws.com", "/model/a%3A0/invoke", "https://bedrock-runtime.us-east-1.amazonaws.com/model/a%3A0/invoke"},
		{"https://mine.openai.azure.com", "/openai/deployments/gpt-5/chat/completions", "https://mine.openai.azure.com/openai/deployments/gpt-5/chat/completions"},
		{"https://mine.openai.azure.com/openai/", "/openai/v1/chat/completions", "https://mine.openai.azure.com/openai/v1/chat/completions"},
		{"https://aiplatform.googleapis.com/v1/projects/p/locations/global", "/publishers/google/models/g:countTokens",
			"https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google/models/g:countTokens"},
		{"https://aiplatform.googleapis.com/v1/projects/p/locations/global/endpoints/openapi/chat/completions", "/endpoints/openapi/chat/completions",
			"https://aiplatform.googleapis.com/v1/projects/p/locations/global/endpoints/openapi/chat/completions"},
	}
	for _, test := range tests {
		got, err := Endpoint(test.base, test.path)
		if err != nil || got != test.want {
			t.Errorf("Endpoint(%q, %q) = %q, %v; want %q", test.base, test.path, got, err, test.want)
		}
	}
	if _, err := Endpoint("http://%zz", chat); err == nil {
		t.Error("a broken URL is no error")
	}
}
