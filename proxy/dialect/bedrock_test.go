package dialect_test

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/dialect"
	"github.com/ccrun/ccrun/proxy/dialect/dialecttest"
)

func TestBedrock(t *testing.T) {
	dialecttest.Run(t, dialecttest.Suite{
		Dir:        "testdata/bedrock",
		New:        rowOf("bedrock"),
		ErrorFrame: "exception: throttlingException\ndata: {\"message\":\"Too many requests, please wait before trying again.\"}\n\n",
		Opaque:     []string{"input"},
		Wire:       eventStream,
		WireType:   "application/vnd.amazon.eventstream",
	})
}

func TestVertex(t *testing.T) {
	dialecttest.Run(t, dialecttest.Suite{
		Dir:        "testdata/vertex",
		New:        rowOf("vertex"),
		ErrorFrame: "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
		Opaque:     []string{"input"},
	})
}

// rowOf finds the dialect of a fixture as a configuration does.
func rowOf(usual string) func(dialecttest.Spec) (dialect.Dialect, error) {
	return func(s dialecttest.Spec) (dialect.Dialect, error) {
		if s.Row == "" {
			s.Row = usual
		}
		uses, err := s.Uses()
		if err != nil {
			return nil, err
		}
		row, err := dialect.Select(s.Row, "", uses)
		return row.Dialect, err
	}
}

// eventStream makes AWS frames of server-sent events. A line "exception: name" in the place of the event's name makes a frame of an
// exception, "error: code" one of an error, "other: name" an event that is not a chunk. What is cut off stays cut off.
func eventStream(text []byte) []byte {
	var out bytes.Buffer
	for frame := range strings.SplitSeq(string(text), "\n\n") {
		head, data, ok := strings.Cut(frame, "data: ")
		if !ok {
			continue
		}
		set := func(m *eventstream.Message, name, value string) { m.Headers.Set(name, eventstream.StringValue(value)) }
		m := eventstream.Message{Payload: []byte(data)}
		kind, name, _ := strings.Cut(strings.TrimSpace(head), ": ")
		switch kind {
		case "exception":
			set(&m, ":exception-type", name)
		case "error":
			set(&m, ":error-code", name)
			set(&m, ":error-message", data)
			m.Payload = nil
		case "other":
			set(&m, ":event-type", name)
			kind = "event"
		default:
			set(&m, ":event-type", "chunk")
			kind = "event"
			m.Payload = []byte(`{"bytes":"` + base64.StdEncoding.EncodeToString([]byte(data)) + `","p":"abcdefgh"}`)
		}
		set(&m, ":content-type", "application/json")
		set(&m, ":message-type", kind)
		if err := eventstream.NewEncoder().Encode(&out, m); err != nil {
			panic(err) // of a bytes.Buffer
		}
	}
	return out.Bytes()
}

// A frame whose checksum does not fit is no part of an answer.
func TestBedrockDamagedFrame(t *testing.T) {
	call := encoded(t, "bedrock", "m", []byte(`{"model":"m","stream":true,"messages":[]}`))
	whole := eventStream([]byte("event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{}}}\n\n"))
	for i := range whole {
		broken := bytes.Clone(whole)
		broken[i] ^= 0x10
		events := 0
		for _, err := range call.Decode(dialect.Reply{Status: 200, Header: http.Header{"Content-Type": {"application/vnd.amazon.eventstream"}}, Body: bytes.NewReader(broken)}) {
			if err == nil {
				events++
			}
		}
		if events > 0 {
			t.Errorf("byte %d of the frame changed, and it counts", i)
		}
	}
}

// What arrives is decoded at the speed at which it can be copied: see the benchmarks of the other dialects.
func BenchmarkBedrockStream(b *testing.B) {
	call := encoded(b, "bedrock", "m", []byte(`{"model":"m","stream":true,"messages":[]}`))
	const events = 1000
	text := "event: x\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":1}}}\n\n" +
		strings.Repeat("event: x\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"some words of it\"}}\n\n", events)
	body := eventStream([]byte(text))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for range call.Decode(dialect.Reply{Status: 200, Header: http.Header{"Content-Type": {"application/vnd.amazon.eventstream"}}, Body: bytes.NewReader(body)}) {
			n++
		}
		if n != events+2 {
			b.Fatalf("%d events", n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/events, "ns/event")
}

func BenchmarkBedrockEncode(b *testing.B) {
	row, err := dialect.Select("bedrock", "", nil)
	if err != nil {
		b.Fatal(err)
	}
	for _, kb := range []int{256, 1024, 4096} {
		b.Run(strconv.Itoa(kb)+"KiB", func(b *testing.B) {
			body := requestOf(conversation(kb*2/5, 2000), 20)
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				req, err := anthropic.Parse(body)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := row.Dialect.Encode(req, dialect.Options{Model: "m"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
