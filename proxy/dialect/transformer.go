package dialect

import (
	"fmt"
	"iter"
	"slices"

	"github.com/tidwall/sjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// A Transformer stands around a dialect. It is asked once for each request, so that what it did to one is known when the
// reply to it comes. It may be used by several goroutines.
type Transformer func(req *anthropic.Request, o Options) (Layer, error)

// A Layer is what a Transformer does to one request and to its reply; what is zero leaves things as they are. A change that
// every provider shall get is made on the client's request, which all dialects know how to write; one that is meant for one
// provider, on its own JSON.
type Layer struct {
	Request *anthropic.Request               // encoded in place of the client's
	Body    func(doc []byte) ([]byte, error) // changes the provider's JSON
	// Reply changes the events of the reply. It is called for each reply that is read, and keeps what it must remember of
	// one inside.
	Reply func(iter.Seq2[anthropic.Event, error]) iter.Seq2[anthropic.Event, error]
	Whole bool     // the reply is needed in one piece: the call does not ask for a stream
	Notes []string // each a sentence for the log
}

// Around puts transformers around a dialect: requests pass them in order, replies in the opposite order.
func Around(d Dialect, transformers ...Transformer) Dialect {
	if len(transformers) == 0 {
		return d
	}
	l := layered{Dialect: d, around: transformers}
	if c, ok := d.(Counter); ok {
		return layeredCounter{l, c}
	}
	return l
}

type layered struct {
	Dialect
	around []Transformer
}

// layeredCounter is layered, for a provider that counts tokens: it is asked about the client's own request.
type layeredCounter struct {
	layered
	Counter
}

func (l layered) Encode(req *anthropic.Request, o Options) (Call, error) {
	layers := make([]Layer, 0, len(l.around))
	var notes []string
	for _, t := range l.around {
		layer, err := t(req, o)
		if err != nil {
			return Call{}, err
		}
		if layer.Request != nil {
			req = layer.Request
		}
		o.Whole = o.Whole || layer.Whole
		notes = append(notes, layer.Notes...)
		layers = append(layers, layer)
	}
	call, err := l.Dialect.Encode(req, o)
	if err != nil {
		return Call{}, err
	}
	call.Notes = append(notes, call.Notes...)
	for _, layer := range layers {
		if layer.Body == nil {
			continue
		}
		if call.Body, err = layer.Body(append(call.Body, call.Rest...)); err != nil {
			return Call{}, fmt.Errorf("transforming the request: %w", err)
		}
		call.Rest = ""
	}
	decode := call.Decode
	call.Decode = func(r Reply) iter.Seq2[anthropic.Event, error] {
		events := decode(r)
		for _, layer := range slices.Backward(layers) {
			if layer.Reply != nil {
				events = layer.Reply(events)
			}
		}
		return events
	}
	return call, nil
}

// edit is a change of one member of a request.
type edit struct{ path, raw string }

// edited is a copy of a request with changes, which are made in order.
func edited(req *anthropic.Request, edits ...edit) (*anthropic.Request, error) {
	body := []byte(req.Body())
	var err error
	for _, e := range edits {
		if body, err = sjson.SetRawBytes(body, e.path, []byte(e.raw)); err != nil {
			return nil, fmt.Errorf("changing %s of the request: %w", e.path, err)
		}
	}
	out, err := anthropic.Parse(body)
	if err != nil {
		return nil, fmt.Errorf("changing the request: %w", err)
	}
	out.Header, out.Query = req.Header, req.Query
	return out, nil
}
