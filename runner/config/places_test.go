package config

import (
	"strings"
	"testing"
)

// Clouds work without a file: what is not a secret comes from the usual variables, and credentials are found when they are needed.
func TestClouds(t *testing.T) {
	tests := []struct {
		model string
		env   vars
		url   string
		keys  int
		fault string
	}{
		{model: "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", env: vars{"AWS_REGION": "eu-west-1"}, url: "https://bedrock-runtime.eu-west-1.amazonaws.com"},
		{model: "bedrock/m", env: vars{"AWS_DEFAULT_REGION": "us-east-1", "AWS_BEARER_TOKEN_BEDROCK": "bedrock-api-key"}, url: "https://bedrock-runtime.us-east-1.amazonaws.com", keys: 1},
		{model: "bedrock/m", env: vars{"ANTHROPIC_BEDROCK_BASE_URL": "https://vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com"},
			url: "https://vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com"},
		{model: "bedrock/m", fault: "the URL of bedrock needs its {region}: set AWS_REGION or AWS_DEFAULT_REGION"},
		{model: "bedrock/m", env: vars{"AWS_REGION": "evil.example.com/"}, fault: "cannot stand in a URL"},
		{model: "vertex/claude-sonnet-4-5@20250929", env: vars{"GOOGLE_CLOUD_PROJECT": "p-1", "GOOGLE_CLOUD_LOCATION": "us-east5"},
			url: "https://us-east5-aiplatform.googleapis.com/v1/projects/p-1/locations/us-east5"},
		{model: "vertex-claude/m", env: vars{"ANTHROPIC_VERTEX_PROJECT_ID": "p-2", "CLOUD_ML_REGION": "global"},
			url: "https://aiplatform.googleapis.com/v1/projects/p-2/locations/global"},
		{model: "vertex-gemini/m", env: vars{"GOOGLE_CLOUD_LOCATION": "eu"}, url: "https://aiplatform.eu.rep.googleapis.com/v1/projects/{project}/locations/eu"},
		{model: "vertex/m", env: vars{"GOOGLE_OAUTH_ACCESS_TOKEN": "ya29.token"}, url: "https://aiplatform.googleapis.com/v1/projects/{project}/locations/global", keys: 1},
		{model: "cloudflare/@cf/meta/llama", env: vars{"CLOUDFLARE_ACCOUNT_ID": "0a1b", "CLOUDFLARE_API_TOKEN": "cloudflare-token"},
			url: "https://api.cloudflare.com/client/v4/accounts/0a1b/ai/v1", keys: 1},
		{model: "cloudflare/m", env: vars{"CLOUDFLARE_API_TOKEN": "cloudflare-token"}, fault: "set CLOUDFLARE_ACCOUNT_ID"},
		{model: "azure/gpt-5", env: vars{"AZURE_OPENAI_ENDPOINT": "https://mine.openai.azure.com/", "AZURE_OPENAI_API_KEY": "azure-key"}, url: "https://mine.openai.azure.com/", keys: 1},
		{model: "azure/gpt-5", env: vars{"AZURE_RESOURCE_NAME": "mine", "AZURE_API_KEY": "azure-key"}, url: "https://mine.openai.azure.com", keys: 1},
	}
	for _, test := range tests {
		c, err := Load(Options{Model: test.model, Getenv: test.env.get})
		if test.fault != "" {
			if err == nil || !strings.Contains(err.Error(), test.fault) {
				t.Errorf("%s with %v: %v, want %q in it", test.model, test.env, err, test.fault)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s with %v: %v", test.model, test.env, err)
			continue
		}
		if p := c.Providers[0]; p.Upstream.BaseURL != test.url || len(p.Upstream.Keys) != test.keys || p.Upstream.Auth != "" || !p.Available {
			t.Errorf("%s with %v: %+v", test.model, test.env, p)
		}
	}
}

func TestCloudsInAFile(t *testing.T) {
	c := load(t, file(t, "c.yaml", `
Providers:
  - {name: regional, api_base_url: "https://us-central1-aiplatform.googleapis.com", transformer: {use: [vertex-gemini]}}
  - {name: global, api_base_url: "https://aiplatform.googleapis.com/v1beta1/"}
  - {name: own, api_base_url: "https://us-east5-aiplatform.googleapis.com", transformer: {use: [[vertex-claude, {project: q}]]}}
  - {name: whole, api_base_url: "https://us-east5-aiplatform.googleapis.com/v1/projects/q/locations/us-east5/endpoints/openapi"}
  - {name: bedrock, api_base_url: "https://vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com"}
  - {name: vertex, api_key: "$GOOGLE_CREDENTIALS"}
  - {name: workers, api_base_url: "https://api.cloudflare.com/client/v4/accounts/{account_id}/ai/v1/chat/completions"}
  - {name: signed, api_base_url: "https://gateway.example.com", auth: aws}
Router: {default: "regional,a"}
`, vars{"GOOGLE_CLOUD_PROJECT": "p", "CLOUDFLARE_ACCOUNT_ID": "0a1b", "CLOUDFLARE_API_TOKEN": "cloudflare-token", "AWS_SECRET_ACCESS_KEY": "aws-secret-key",
		"GOOGLE_CREDENTIALS": "{\n  \"type\": \"service_account\",\n  \"private_key\": \"-----BEGIN-----\\nabc\"\n}"}))
	want := []string{
		"https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1",
		"https://aiplatform.googleapis.com/v1beta1/projects/p/locations/global",
		"https://us-east5-aiplatform.googleapis.com",
		"https://us-east5-aiplatform.googleapis.com/v1/projects/q/locations/us-east5/endpoints/openapi",
		"https://vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com",
		"https://aiplatform.googleapis.com/v1/projects/p/locations/global",
		"https://api.cloudflare.com/client/v4/accounts/0a1b/ai/v1/chat/completions",
		"https://gateway.example.com",
	}
	for i, p := range c.Providers {
		if p.Upstream.BaseURL != want[i] || !p.Available {
			t.Errorf("%s is at %s, available %v; want %s", p.Upstream.Name, p.Upstream.BaseURL, p.Available, want[i])
		}
	}
	equal(t, "a key of several lines", c.Providers[5].Upstream.Keys, []string{`{"type":"service_account","private_key":"-----BEGIN-----\nabc"}`})
	equal(t, "a key by host", c.Providers[6].Upstream.Keys, []string{"cloudflare-token"})
	equal(t, "auth", c.Providers[7].Upstream.Auth, "aws")
	secrets := strings.Join(c.Secrets(), " ")
	for _, s := range []string{"-----BEGIN-----\nabc", "aws-secret-key", "cloudflare-token"} {
		if !strings.Contains(secrets, s) {
			t.Errorf("%q is no secret", s)
		}
	}
}

// Credentials of the machine go to the cloud's own hosts alone.
func TestCloudCredentialsStayAtHome(t *testing.T) {
	for _, host := range []string{"aiplatform.googleapis.com.example.com", "x.y-aiplatform.googleapis.com", "bedrock-runtime.a.s3.amazonaws.com", "gateway.example.com"} {
		_, err := Load(file(t, "c.yaml", `{Providers: [{name: "mine", api_base_url: "https://`+host+`/v1", transformer: {use: ["vertex-claude"]}}], Router: {default: "mine,m"}}`, nil))
		if err == nil || !strings.Contains(err.Error(), "no key for mine") {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// A replay needs no credentials.
func TestCloudKeyless(t *testing.T) {
	c := load(t, Options{Model: "bedrock/m", Getenv: vars{"AWS_REGION": "us-east-1"}.get, Keyless: true})
	if c.Providers[0].Upstream.Auth != "none" {
		t.Errorf("auth %q", c.Providers[0].Upstream.Auth)
	}
}
