package dialect

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// bedrock is Anthropic's own language behind Amazon Bedrock's InvokeModel: the model stands in the path, the version and the
// beta flags in the body, and a stream comes as AWS event-stream frames.
type bedrock struct {
	maxOutput int64 // the longest answer that is asked for, in tokens; 0: any
}

var (
	bedrockRow = quirks{name: "bedrock", names: []string{"aws", "aws-bedrock", "amazon-bedrock"}, hosts: []string{"bedrock-runtime.", "bedrock-runtime-fips."}, auth: "aws"}

	// Bedrock refuses, among others, those of prompt caching, files, code execution and memory, which need no flag or are not there.
	bedrockEnvelope = envelope{cloud: "Bedrock", version: "bedrock-2023-05-31", inBody: true, betas: with(cloudBetas,
		"computer-use-2024-10-22", "dev-full-thinking-2025-05-14", "fine-grained-tool-streaming-2025-05-14",
		"mid-conversation-output-config-2026-07-01", "mid-conversation-tool-changes-2026-07-01", "output-128k-2025-02-19",
		"token-efficient-tools-2025-02-19", "tool-examples-2025-10-29")}
)

// with is a table of flags and further ones that keep their names.
func with(flags map[string]string, more ...string) map[string]string {
	all := maps.Clone(flags)
	for _, f := range more {
		all[f] = f
	}
	return all
}

const eventStream = "application/vnd.amazon.eventstream"

// Encode copies the request into Bedrock's envelope.
func (b bedrock) Encode(req *anthropic.Request, o Options) (Call, error) {
	body, _, notes := bedrockEnvelope.body(req, o, b.maxOutput)
	method, accept := "/invoke", "application/json"
	if req.Stream {
		method, accept = "/invoke-with-response-stream", eventStream
	}
	c := Call{Path: bedrockPath(o.modelOf(req)) + method, Body: body, Notes: notes}
	c.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {accept}}
	stream := req.Stream
	c.Decode = func(r Reply) iter.Seq2[anthropic.Event, error] {
		return func(yield func(anthropic.Event, error) bool) {
			if strings.HasPrefix(r.Header.Get("Content-Type"), eventStream) {
				decodeEventStream(r, yield)
			} else {
				decodeNative(r, stream, yield)
			}
		}
	}
	return c, nil
}

// bedrockPath escapes a model's id as the AWS SDKs do, the colon of a version included: it may be a whole ARN.
func bedrockPath(model string) string {
	return "/model/" + strings.ReplaceAll(url.PathEscape(model), ":", "%3A")
}

// regional is the prefix of an inference profile that spans regions: us.anthropic.claude-….
var regional = regexp.MustCompile(`^[a-z-]+\.(anthropic\..+)$`)

// Count asks CountTokens, which knows foundation models only. What a profile of one's own stands for cannot be told from its id.
func (b bedrock) Count(req *anthropic.Request, o Options) (Call, error) {
	model := o.modelOf(req)
	if strings.Contains(model, "application-inference-profile") {
		return Call{}, fmt.Errorf("counting tokens: Bedrock does not count for the application inference profile %s", model)
	}
	model = model[strings.LastIndexByte(model, '/')+1:]
	if m := regional.FindStringSubmatch(model); m != nil {
		model = m[1]
	}
	inner := []byte(`{"anthropic_version":"` + bedrockEnvelope.version + `","max_tokens":1`)
	messages := ownMessages(req)
	gjson.Parse(req.Body()).ForEach(func(k, v gjson.Result) bool {
		raw := v.Raw
		switch k.Str {
		case "messages":
			if messages != "" {
				raw = messages
			}
		case "system", "tools", "tool_choice":
		default:
			return true
		}
		inner = append(append(append(append(inner, ','), k.Raw...), ':'), raw...)
		return true
	})
	body := []byte(`{"input":{"invokeModel":{"body":"`)
	body = append(base64.StdEncoding.AppendEncode(body, append(inner, '}')), `"}}}`...)
	c := Call{Path: bedrockPath(model) + "/count-tokens", Body: body}
	c.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}
	c.Decode = countOf("inputTokens")
	return c, nil
}

// countOf decodes the reply to a count of tokens: a Count and a Stop without a reason.
func countOf(field string) func(Reply) iter.Seq2[anthropic.Event, error] {
	return func(r Reply) iter.Seq2[anthropic.Event, error] {
		return func(yield func(anthropic.Event, error) bool) {
			doc, err := readJSON(r, bufio.NewReader(r.Body))
			n := doc.Get(field)
			if err == nil && n.Type != gjson.Number {
				err = noReply("JSON without "+field, []byte(doc.Raw))
			}
			if err != nil {
				yield(anthropic.Event{}, err)
				return
			}
			u := anthropic.Usage{Known: true, Input: n.Int()}
			_ = yield(anthropic.Event{Kind: anthropic.Count, Usage: u}, nil) && yield(anthropic.Event{Kind: anthropic.Stop}, nil)
		}
	}
}

// modelOf is the provider's name of the model.
func (o Options) modelOf(req *anthropic.Request) string {
	if o.Model == "" {
		return req.Model
	}
	return o.Model
}
