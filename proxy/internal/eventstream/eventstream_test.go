package eventstream

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	aws "github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
)

// encode writes frames with AWS's own library.
func encode(t testing.TB, messages ...aws.Message) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, m := range messages {
		if err := aws.NewEncoder().Encode(&out, m); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func message(payload string, headers ...aws.Header) aws.Message {
	return aws.Message{Headers: headers, Payload: []byte(payload)}
}

func TestReader(t *testing.T) {
	all := encode(t,
		message(`{"a":1}`, aws.Header{Name: "flag", Value: aws.BoolValue(true)}, aws.Header{Name: "n", Value: aws.Int32Value(7)},
			aws.Header{Name: "blob", Value: aws.BytesValue("xyz")}, aws.Header{Name: "when", Value: aws.TimestampValue(time.Unix(1, 0))},
			aws.Header{Name: ":event-type", Value: aws.StringValue("chunk")}),
		message(""), message(strings.Repeat("x", 100_000), aws.Header{Name: ":event-type", Value: aws.StringValue("")}))
	for name, body := range map[string]io.Reader{"whole": bytes.NewReader(all), "bytes": iotest.OneByteReader(bytes.NewReader(all))} {
		r := NewReader(body)
		for i, want := range []struct {
			payload int
			kind    string
		}{{7, "chunk"}, {0, ""}, {100_000, ""}} {
			f, err := r.Next()
			if err != nil || len(f.Payload) != want.payload || string(f.Header(":event-type")) != want.kind || f.Header("n") != nil || f.Header("none") != nil {
				t.Errorf("%s: frame %d: %d bytes, type %q, %v", name, i, len(f.Payload), f.Header(":event-type"), err)
			}
		}
		if _, err := r.Next(); err != io.EOF {
			t.Errorf("%s: the end is %v", name, err)
		}
	}
}

// Whatever byte is wrong, and wherever the body ends, no frame is made of it.
func TestDamage(t *testing.T) {
	one := encode(t, message(`{"bytes":"aGVsbG8="}`, aws.Header{Name: ":message-type", Value: aws.StringValue("event")}))
	for i := range one {
		bad := bytes.Clone(one)
		bad[i] ^= 0x10
		if _, err := NewReader(bytes.NewReader(bad)).Next(); !errors.Is(err, ErrDamaged) {
			t.Errorf("byte %d: %v", i, err)
		}
		if _, err := NewReader(bytes.NewReader(one[:i])).Next(); i > 0 && err != io.ErrUnexpectedEOF || i == 0 && err != io.EOF {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
}

// The reader takes what AWS's takes, and finds the same in it.
func FuzzReader(f *testing.F) {
	f.Add(encode(f, message("hello", aws.Header{Name: ":event-type", Value: aws.StringValue("chunk")})))
	f.Add([]byte("\x00\x00\x00\x10\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := NewReader(bytes.NewReader(body)).Next()
		want, refused := aws.NewDecoder().Decode(bytes.NewReader(body), nil)
		if refused == nil && err != nil && len(body) <= MaxFrame {
			t.Fatalf("refused: %v", err)
		}
		if err != nil {
			return
		}
		if refused == nil && !bytes.Equal(got.Payload, want.Payload) {
			t.Fatalf("got %q, want %q", got.Payload, want.Payload)
		}
		got.Header(":event-type") // headers that make no sense are none
	})
}

func BenchmarkReader(b *testing.B) {
	body := bytes.Repeat(encode(b, message(strings.Repeat("x", 200), aws.Header{Name: ":event-type", Value: aws.StringValue("chunk")},
		aws.Header{Name: ":message-type", Value: aws.StringValue("event")})), 200)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r := NewReader(bytes.NewReader(body))
		for {
			f, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil || string(f.Header(":message-type")) != "event" {
				b.Fatal(err)
			}
		}
	}
}
