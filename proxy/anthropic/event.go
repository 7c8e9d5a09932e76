package anthropic

// Kind is what an Event says.
type Kind uint8

// The kinds of events. A reply is Start, then content in any order, then one Stop; or an error anywhere.
const (
	Start        Kind = iota + 1 // Text: the served model; Usage where it is known already
	Text                         // Text: the delta
	Thinking                     // Text: the delta
	Signature                    // Text: the signature of the thinking before it, or of an empty thinking block
	Redacted                     // Text: the data of a redacted_thinking block
	ToolUse                      // Call, ID, Name: a client tool is called; ToolInput follows
	ToolInput                    // Call, Text: the delta of the input's JSON
	Search                       // ID: the provider searched the web; Text: its query
	SearchResult                 // ID: of the Search that it follows; Raw: one web_search_result block
	Count                        // Usage: what is known so far; the last one wins
	Stop                         // Text: the stop reason; Name: the stop string; Usage: the last one
	// Native is a reply of an Anthropic upstream, verbatim: Raw is a frame, or the whole message where it is JSON. Text is the
	// frame's type, "ping" where it says nothing, "message" for JSON; Name, at its beginning, is the served model. Stop ends
	// it as ever, with the last frame in Raw; after JSON, Raw is empty but not nil.
	Native
)

// Event is one step of a reply, without a block index: the Writer owns the framing, so a wrong stream cannot be written.
type Event struct {
	Kind     Kind
	Call     int // which tool call, counted by the dialect
	Text     string
	ID, Name string
	Usage    Usage
	Raw      []byte // valid until the next event is asked for
}

// Content tells whether the event is part of the answer: after it was written there is no other attempt.
func (e Event) Content() bool {
	switch e.Kind {
	case Start, Count:
		return false
	case Native:
		return e.Text != "message_start" && e.Text != "ping"
	}
	return true
}

// void tells whether the event is a delta without anything in it: providers send many, and they say nothing.
func (e Event) void() bool {
	switch e.Kind {
	case Text, Thinking, Signature, ToolInput:
		return e.Text == ""
	}
	return false
}

// Usage is what a provider reports of one call. Token counts exclude each other: Input has neither cache reads nor cache
// writes in it; Reasoning is a part of Output. Known is false where nothing was reported: absent is never zero.
type Usage struct {
	Known        bool
	Input        int64
	Output       int64
	Reasoning    int64 // part of Output
	CacheRead    int64
	CacheWrite   int64 // all cache writes, both lives
	CacheWrite1h int64 // the part of CacheWrite that lives for one hour
	Searches     int64 // web searches
	Cost         int64 // nano-dollars, where CostKnown
	CostKnown    bool  // the provider told the price of the call
	Tier         string
}

// Merge takes over what a later report says: counts that it has replace those before.
func (u Usage) Merge(v Usage) Usage {
	if !v.Known && !v.CostKnown {
		return u
	}
	last := func(a *int64, b int64) {
		if b != 0 {
			*a = b
		}
	}
	u.Known = u.Known || v.Known
	last(&u.Input, v.Input)
	last(&u.Output, v.Output)
	last(&u.Reasoning, v.Reasoning)
	last(&u.CacheRead, v.CacheRead)
	last(&u.CacheWrite, v.CacheWrite)
	last(&u.CacheWrite1h, v.CacheWrite1h)
	last(&u.Searches, v.Searches)
	if v.CostKnown {
		u.Cost, u.CostKnown = v.Cost, true
	}
	if v.Tier != "" {
		u.Tier = v.Tier
	}
	return u
}
