package dialect_test

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/dialect"
)

func TestCloudRows(t *testing.T) {
	for _, test := range []struct{ provider, host, use, row, auth string }{
		{"bedrock", "", "", "bedrock", "aws"},
		{"AWS-Bedrock", "", "", "bedrock", "aws"},
		{"mine", "bedrock-runtime.eu-west-1.amazonaws.com", "", "bedrock", "aws"},
		{"mine", "bedrock-runtime-fips.us-east-1.amazonaws.com", "", "bedrock", "aws"},
		{"mine", "us-east5-aiplatform.googleapis.com", "", "vertex", "google"},
		{"mine", "aiplatform.googleapis.com:443", "", "vertex", "google"},
		{"mine", "aiplatform.eu.rep.googleapis.com", "", "vertex", "google"},
		{"mine", "us-east5-aiplatform.googleapis.com", "vertex-gemini", "vertex-gemini", "google"},
		{"mine", "us-east5-aiplatform.googleapis.com", "Vertex-Claude", "vertex-claude", "google"},
		{"mine", "aiplatform.googleapis.com", "vertex-openai", "vertex-openai", "google"},
		{"mine", "notaiplatform.googleapis.com", "", "openai-compatible", "bearer"},
		{"mine", "bedrock-runtimes.example.com", "", "openai-compatible", "bearer"},
	} {
		var use []dialect.Use
		if test.use != "" {
			use = []dialect.Use{{Name: test.use}}
		}
		row, err := dialect.Select(test.provider, test.host, use)
		if err != nil || row.Name != test.row || row.Auth != test.auth || len(row.Warnings) > 0 || row.Native() {
			t.Errorf("%v: %s with %s, warnings %v, native %v, %v", test, row.Name, row.Auth, row.Warnings, row.Native(), err)
		}
	}
}

// Whatever comes, a reply ends with a Stop or an error, and no frame is believed that is not whole.
func FuzzBedrockDecode(f *testing.F) {
	frame := eventStream([]byte("event: x\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{}}}\n\nexception: throttlingException\ndata: {}\n\n"))
	f.Add(frame)
	f.Add(frame[:len(frame)-3])
	call := encoded(f, "bedrock", "m", []byte(`{"model":"m","stream":true,"messages":[]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := dialect.Reply{Status: 200, Header: http.Header{"Content-Type": {"application/vnd.amazon.eventstream"}}, Body: bytes.NewReader(body)}
		ended := false
		for e, err := range call.Decode(r) {
			if ended {
				t.Fatal("a step behind the last one")
			}
			ended = err != nil || e.Kind == anthropic.Stop
		}
		if !ended {
			t.Fatal("no end")
		}
	})
}
