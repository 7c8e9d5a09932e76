// Package anthropic is the client's side of the wire: the Messages API as Claude Code speaks it.
//
// Parse reads a request. A reply is a sequence of Events, without framing; Writer turns it into the event stream that the
// client reads, Collect into the JSON message of a client that did not ask for a stream. Error is every failure.
//
// Nothing here knows a provider. JSON that only passes through stays Raw: it is copied, never decoded and encoded again.
package anthropic
