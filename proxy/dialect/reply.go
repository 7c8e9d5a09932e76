package dialect

import (
	"bytes"
	"fmt"
	"io"

	"github.com/tidwall/gjson"

	"github.com/ccrun/ccrun/proxy/internal/sse"
)

// longestReply bounds a document, in bytes. A stream has no such bound.
const longestReply = 64 << 20

// readReply hands a reply's body to the reader of its form: a stream of frames, or one JSON document where a provider ignored
// that a stream was asked for. A body that is neither is an error that says so.
func readReply(body io.Reader, frames func(*sse.Reader) error, document func(gjson.Result) error) error {
	head, err := firstBytes(body)
	switch {
	case err == io.EOF && len(head) == 0:
		return fmt.Errorf("%w: it is empty", ErrTruncated)
	case err != nil && err != io.EOF:
		return fmt.Errorf("reading the upstream's reply: %w", err)
	}
	body = io.MultiReader(bytes.NewReader(head), body)
	if c := head[0]; c != '{' && c != '[' && c != '<' {
		return frames(sse.NewReader(body))
	}
	data, err := io.ReadAll(io.LimitReader(body, longestReply))
	switch {
	case err != nil:
		return fmt.Errorf("reading the upstream's reply: %w", err)
	case data[0] == '<':
		return webPage(data)
	case !gjson.ValidBytes(data):
		return fmt.Errorf("%w: it is not whole JSON", ErrTruncated)
	}
	return document(gjson.ParseBytes(data))
}

// firstBytes reads up to the first byte that is no space: it tells a stream from a document.
func firstBytes(body io.Reader) ([]byte, error) {
	buf := make([]byte, 4096)
	for empty := 0; empty < 100; empty++ {
		n, err := body.Read(buf)
		if head := bytes.TrimLeft(buf[:n], " \t\r\n"); len(head) > 0 {
			return head, nil
		}
		if err != nil {
			return nil, err
		}
		if n > 0 {
			empty = 0
		}
	}
	return nil, io.ErrNoProgress
}
