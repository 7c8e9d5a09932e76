package anthropic

import "strconv"

func (w *Writer) messageStart() {
	model := w.start.Text
	if model == "" {
		model = w.o.Model
	}
	w.frame("message_start", func(b []byte) []byte {
		b = append(b, `{"type":"message_start","message":{"id":`...)
		b = AppendQuote(b, w.o.NewID("msg_"))
		b = append(b, `,"type":"message","role":"assistant","model":`...)
		b = AppendQuote(b, model)
		b = append(b, `,"content":[],"stop_reason":null,"stop_sequence":null,"usage":`...)
		return append(w.start.Usage.append(b), "}}"...)
	})
}

func (w *Writer) messageDelta(e Event) {
	w.frame("message_delta", func(b []byte) []byte {
		b = append(b, `{"type":"message_delta","delta":{`...)
		b = appendStop(b, e.Text, e.Name)
		b = append(b, `},"usage":`...)
		return append(w.usage.append(b), '}')
	})
}

// block opens a text or thinking block unless that kind is open.
func (w *Writer) block(k Kind, block string) {
	if w.open == k {
		return
	}
	w.blockStart(k, func(b []byte) []byte { return append(b, block...) })
}

// startCall opens a block of a tool call or search; its input comes as a delta: a client ignores one that stands here.
func (w *Writer) startCall(k Kind, id, name string) {
	w.blockStart(k, func(b []byte) []byte {
		b = append(appendCall(b, k, id, name), `"input":{}}`...)
		return b
	})
}

// whole writes a block that has no deltas.
func (w *Writer) whole(block func([]byte) []byte) {
	w.blockStart(Redacted, block)
	w.close()
}

// blockStart closes the open block, and opens one of kind k.
func (w *Writer) blockStart(k Kind, block func([]byte) []byte) {
	w.close()
	w.open = k
	w.frame("content_block_start", func(b []byte) []byte {
		b = append(b, `{"type":"content_block_start","index":`...)
		b = strconv.AppendInt(b, int64(w.index), 10)
		b = append(b, `,"content_block":`...)
		return append(block(b), '}')
	})
}

func (w *Writer) delta(kind, field, text string) {
	b := append(w.buf, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":"...)
	b = strconv.AppendInt(b, int64(w.index), 10)
	b = append(b, `,"delta":{"type":"`...)
	b = append(b, kind...)
	b = append(b, `","`...)
	b = append(b, field...)
	b = append(b, `":`...)
	b = AppendQuote(b, text)
	w.buf = append(b, "}}\n\n"...)
}

// close closes the open block, if one is open.
func (w *Writer) close() {
	if w.open == 0 {
		return
	}
	w.frame("content_block_stop", func(b []byte) []byte {
		b = append(b, `{"type":"content_block_stop","index":`...)
		b = strconv.AppendInt(b, int64(w.index), 10)
		return append(b, '}')
	})
	w.open = 0
	w.index++
}

func (w *Writer) frame(event string, data func([]byte) []byte) {
	w.buf = append(w.buf, "event: "...)
	w.buf = append(w.buf, event...)
	w.buf = append(w.buf, "\ndata: "...)
	w.buf = data(w.buf)
	w.buf = append(w.buf, "\n\n"...)
}

// appendStop writes why a reply ended. stop_sequence has a value with that one reason only.
func appendStop(b []byte, reason, sequence string) []byte {
	b = append(b, `"stop_reason":`...)
	b = AppendQuote(b, reason)
	b = append(b, `,"stop_sequence":`...)
	if reason == "stop_sequence" {
		return AppendQuote(b, sequence)
	}
	return append(b, "null"...)
}

// append writes the usage object of the wire. Its two counts are demanded there, so an unknown one stands as 0; what is
// known is in the ledger.
func (u Usage) append(b []byte) []byte {
	b = append(b, `{"input_tokens":`...)
	b = strconv.AppendInt(b, u.Input, 10)
	b = append(b, `,"cache_creation_input_tokens":`...)
	b = strconv.AppendInt(b, u.CacheWrite, 10)
	b = append(b, `,"cache_read_input_tokens":`...)
	b = strconv.AppendInt(b, u.CacheRead, 10)
	b = append(b, `,"cache_creation":{"ephemeral_5m_input_tokens":`...)
	b = strconv.AppendInt(b, max(u.CacheWrite-u.CacheWrite1h, 0), 10)
	b = append(b, `,"ephemeral_1h_input_tokens":`...)
	b = strconv.AppendInt(b, u.CacheWrite1h, 10)
	b = append(b, `},"output_tokens":`...)
	b = strconv.AppendInt(b, u.Output, 10)
	if u.Reasoning > 0 {
		b = append(b, `,"output_tokens_details":{"thinking_tokens":`...)
		b = strconv.AppendInt(b, u.Reasoning, 10)
		b = append(b, '}')
	}
	if u.Searches > 0 {
		b = append(b, `,"server_tool_use":{"web_search_requests":`...)
		b = strconv.AppendInt(b, u.Searches, 10)
		b = append(b, '}')
	}
	if u.Tier != "" {
		b = append(b, `,"service_tier":`...)
		b = AppendQuote(b, u.Tier)
	}
	return append(b, '}')
}
