package dialect

import (
	"bytes"
	"io"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// bedrockStatus is the status of an error by the name that AWS gives it, where that tells more than the reply's own: the
// model's faults come as a 424, which would not be tried again. Frames of a stream have the name alone.
var bedrockStatus = map[string]int{
	"accessdenied": 403, "expiredtoken": 403, "invalidsignature": 403, "missingauthenticationtoken": 403, "unrecognizedclient": 403,
	"internalserver": 500, "modelerror": 502, "modelstreamerror": 502, "modelnotready": 503, "modeltimeout": 504,
	"resourcenotfound": 404, "servicequotaexceeded": 429, "serviceunavailable": 503, "throttling": 429, "validation": 400,
}

// Error reads a reply that is not 2xx. Some models answer in Anthropic's own envelope, which is passed on; the others in AWS's.
func (bedrock) Error(r Reply) *anthropic.Error {
	body, err := io.ReadAll(io.LimitReader(r.Body, longestErrorBody))
	name, _, _ := strings.Cut(r.Header.Get("X-Amzn-Errortype"), ":")
	doc := gjson.ParseBytes(body)
	if name == "" && gjson.ValidBytes(body) {
		name = doc.Get("__type").Str
	}
	var e *anthropic.Error
	if gjson.ValidBytes(body) && (doc.Get("message").Type == gjson.String || doc.Get("Message").Type == gjson.String) {
		e = bedrockError(r, name, bedrockWords(body))
	} else {
		e = nativeError(Reply{Status: r.Status, Header: r.Header}, body)
	}
	if err != nil {
		e.Err = cutOff(err)
	}
	return e
}

// bedrockError makes an error of a name such as ThrottlingException and the words beside it.
func bedrockError(r Reply, name, words string) *anthropic.Error {
	name = name[strings.LastIndexByte(name, '#')+1:]
	status := bedrockStatus[strings.TrimSuffix(strings.ToLower(name), "exception")]
	if status == 0 {
		if status = r.Status; status < 400 {
			status = http.StatusBadGateway
		}
	}
	words = strings.TrimPrefix(words, "The model returned the following errors: ")
	said := append(anthropic.AppendQuote([]byte(`{"message":`), words), '}')
	e := failure(Reply{Status: status, Header: r.Header, Body: bytes.NewReader(said)})
	if e.Code == "" {
		e.Code = name
	}
	switch low := strings.ToLower(words); {
	case status == 400 && containsAny(low, "model identifier is invalid", "on-demand throughput isn"):
		e.Fault = anthropic.FaultModel
	case status == 429 && containsAny(low, "per day", "daily"):
		become(e, http.StatusPaymentRequired) // no wait within a job helps, and clients would try a 429 again
	}
	return e
}
