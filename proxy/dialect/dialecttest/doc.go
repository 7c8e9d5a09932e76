// Package dialecttest is the suite of tests that every dialect passes. A dialect brings fixtures, not test code:
//
//	func TestChat(t *testing.T) {
//		dialecttest.Run(t, dialecttest.Suite{
//			Dir: "testdata/chat",
//			New: func(s dialecttest.Spec) (dialect.Dialect, error) { return dialect.Select(…) },
//			ErrorFrame: "data: {\"error\":{\"message\":\"slow down\",\"code\":429}}\n\n",
//			Opaque: []string{"arguments"},
//		})
//	}
//
// # Fixtures
//
// A fixture is one file testdata/<dialect>/<case>.txtar. Its comment says what it shows. Its sections, all optional but for
// what is said below:
//
//	options.json   a Spec: {"row":"deepseek","model":"deepseek-chat"}
//	request.http   the client's request line and headers: "POST /v1/messages?beta=true" and "Name: value" lines
//	request.json   the client's body; without it a short streaming one is sent and the call is not looked at
//	want-call      method, path, query, and the headers sorted, as they go upstream
//	want-body.json the exact bytes that go upstream
//	want-notes     Call.Notes and what is noted while the reply is read, a line each
//	want-refusal   the error of Encode, in place of want-call and want-body.json
//	reply.http     a status and headers, "200" and "Content-Type: text/event-stream" where there is no such section
//	reply          the body, verbatim, or what Suite.Wire makes the body of; Spec.Chomp takes its last newline away
//	want-events    what Decode yields, a line for each event, in the form of Line
//	want-usage     the usage of the whole reply, in the form of UsageLine
//	want-error     the error of the reply, in the form of ErrorLine: of Error for a status that is not 2xx, else of Decode
//
// The parts of a JSON section may be spread over lines for the reader only where the dialect does not copy bytes.
// `go test ./proxy/dialect -run TestChat -update` writes the want-sections anew, for review in the diff; a section that is
// missing or that should not be there fails the test.
//
// # What is tested beside the fixtures' own expectations
//
// Each reply is decoded again from a reader that gives one byte at a time; with CRLF line ends; with unknown fields in
// every JSON object; cut at every byte, where a Stop is allowed only if the reply is whole by then; from a connection that
// breaks; by a consumer that leaves early; with an error frame behind every frame. The events are written through
// anthropic.Writer and Collector, the stream is judged by anthropictest, and both must come to the same message.
package dialecttest
