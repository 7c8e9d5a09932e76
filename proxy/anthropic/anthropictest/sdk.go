package anthropictest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"

	sdk "github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/packages/ssestream"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/tidwall/sjson"
)

// Accumulate reads an event stream as anthropic-sdk-go does and returns the JSON of its message.
func Accumulate(stream []byte) ([]byte, error) {
	s := ssestream.NewStream[sdk.MessageStreamEventUnion](ssestream.NewDecoder(&http.Response{
		Header: http.Header{"Content-Type": {"text/event-stream"}},
		Body:   io.NopCloser(bytes.NewReader(stream)),
	}), nil)
	var m sdk.Message
	for s.Next() {
		if err := m.Accumulate(s.Current()); err != nil {
			return nil, fmt.Errorf("anthropic-sdk-go: %w", err)
		}
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("anthropic-sdk-go: %w", err)
	}
	return []byte(m.RawJSON()), nil
}

// Same tells by an error where a stream and a JSON message differ to anthropic-sdk-go; the message's own id may.
func Same(stream, message []byte) error {
	got, err := Accumulate(stream)
	if err != nil {
		return err
	}
	a, err := canonical(got)
	if err != nil {
		return fmt.Errorf("the stream's message: %w", err)
	}
	b, err := canonical(message)
	if err != nil {
		return fmt.Errorf("the message: %w", err)
	}
	if a != b {
		return fmt.Errorf("stream and message differ\nstream:  %s\nmessage: %s", a, b)
	}
	return nil
}

func canonical(message []byte) (string, error) {
	message, err := sjson.DeleteBytes(message, "id")
	if err != nil {
		return "", err
	}
	v := jsontext.Value(message)
	err = v.Canonicalize()
	return string(v), err
}
