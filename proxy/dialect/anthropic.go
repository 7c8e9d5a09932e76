package dialect

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// native is the dialect of upstreams that speak the Messages API themselves. It is a passthrough: the request goes as it came
// but for the model, thinking that others signed, and a max_tokens that cannot be; the reply's frames come back byte for byte;
// usage is read on the way.
type native struct {
	maxOutput int64 // the longest answer that is asked for, in tokens; 0: any
}

// Encode copies the request. A longer answer than the upstream is known to give is not asked for.
func (n native) Encode(req *anthropic.Request, o Options) (Call, error) {
	c := nativeCall("/v1/messages", req, o, n.maxOutput)
	stream := req.Stream
	c.Decode = func(r Reply) iter.Seq2[anthropic.Event, error] {
		return func(yield func(anthropic.Event, error) bool) { decodeNative(r, stream, yield) }
	}
	return c, nil
}

// Count copies the request. Its reply is a Count and a Stop without a reason.
func (native) Count(req *anthropic.Request, o Options) (Call, error) {
	c := nativeCall("/v1/messages/count_tokens", req, o, 0)
	c.Decode = countOf("input_tokens")
	return c, nil
}

func nativeCall(path string, req *anthropic.Request, o Options, most int64) Call {
	c := Call{Path: path, Query: req.Query, Header: nativeHeader(req.Header)}
	model := o.modelOf(req)
	values := shorter(req, o, most)
	if own := ownMessages(req); own != "" {
		values["messages"] = own
	}
	switch {
	case len(values) > 0:
		values["model"] = string(anthropic.Quote(model))
		c.Body = replaced(req.Body(), values)
	case model == req.Model:
		c.Rest = req.Body()
	default:
		c.Body, c.Rest = req.SplitModel(model)
	}
	return c
}

// nativeHeaders are the client's headers that go upstream. No other one does: credentials, hop-by-hop headers and routing hints are
// not for the provider.
var nativeHeaders = []string{"Accept", "Anthropic-Beta", "Anthropic-Version", "Content-Type", "User-Agent", "X-App", "X-Claude-Code-Session-Id"}

func nativeHeader(client http.Header) http.Header {
	h := http.Header{"Content-Type": {"application/json"}, "Anthropic-Version": {"2023-06-01"}}
	for name, values := range client {
		if slices.Contains(nativeHeaders, name) || strings.HasPrefix(name, "X-Stainless-") {
			h[name] = slices.Clone(values)
		}
	}
	return h
}

// decodeNative finds out what a 2xx reply is. Some servers name the wrong type, so that its first bytes count where the name
// does not tell.
func decodeNative(r Reply, stream bool, yield func(anthropic.Event, error) bool) {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	if stream && kind == "text/event-stream" {
		decodeFrames(r, r.Body, yield)
		return
	}
	body := bufio.NewReader(r.Body)
	first, err := body.Peek(6)
	first = bytes.TrimLeft(first, " \t\r\n\xef\xbb\xbf")
	switch {
	case len(first) == 0 && errors.Is(err, io.EOF):
		err = ErrTruncated
	case len(first) == 0 && err != nil:
		err = cutOff(err)
	case bytes.HasPrefix(first, []byte("{")):
		decodeMessage(r, body, stream, yield)
		return
	case isFrame(first) && stream:
		decodeFrames(r, body, yield)
		return
	case isFrame(first):
		err = noReply("a stream, though none was asked for", peek(body))
	default:
		err = noReply(fmt.Sprintf("neither a stream nor JSON, but %q", kind), peek(body))
	}
	yield(anthropic.Event{}, err)
}

func isFrame(first []byte) bool {
	return bytes.HasPrefix(first, []byte("event:")) || bytes.HasPrefix(first, []byte("data:")) || bytes.HasPrefix(first, []byte(":"))
}

func peek(body *bufio.Reader) []byte {
	b, _ := body.Peek(400) // what there is; the error that it is less does not matter
	return b
}

// noReply is the error of a 2xx reply that is none.
func noReply(what string, body []byte) *anthropic.Error {
	if text := strings.TrimSpace(string(body[:min(len(body), 400)])); isPage(text) {
		return webPage(body)
	}
	e := anthropic.ForStatus(http.StatusBadGateway, "the upstream answered with "+what+": "+excerpt(body))
	e.Fault = anthropic.FaultNetwork
	return e
}

// excerpt is the beginning of a text, on one line.
func excerpt(text []byte) string {
	const most = 200
	s := strings.Join(strings.Fields(strings.ToValidUTF8(string(text[:min(len(text), 4*most)]), "\uFFFD")), " ")
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	if s == "" {
		return "(nothing)"
	}
	return s
}

// cutOff is the error of a body that broke: its cause stays in it.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrTruncated
	}
	return fmt.Errorf("%w: %w", ErrTruncated, err)
}
