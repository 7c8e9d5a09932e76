package anthropic_test

import (
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

func TestForStatus(t *testing.T) {
	for _, c := range []struct {
		status    int
		kind      string
		fault     anthropic.Fault
		temporary bool
	}{
		{400, "invalid_request_error", anthropic.FaultRequest, false},
		{401, "authentication_error", anthropic.FaultAuth, false},
		{402, "billing_error", anthropic.FaultQuota, false},
		{403, "permission_error", anthropic.FaultAuth, false},
		{404, "not_found_error", anthropic.FaultModel, false},
		{408, "timeout_error", anthropic.FaultNetwork, true},
		{413, "request_too_large", anthropic.FaultRequest, false},
		{422, "invalid_request_error", anthropic.FaultRequest, false},
		{429, "rate_limit_error", anthropic.FaultRateLimited, true},
		{500, "api_error", anthropic.FaultOverloaded, true},
		{502, "api_error", anthropic.FaultOverloaded, true},
		{503, "overloaded_error", anthropic.FaultOverloaded, true},
		{504, "timeout_error", anthropic.FaultOverloaded, true},
		{529, "overloaded_error", anthropic.FaultOverloaded, true},
	} {
		e := anthropic.ForStatus(c.status, "words")
		if e.Status != c.status || e.Type != c.kind || e.Fault != c.fault || e.Temporary() != c.temporary {
			t.Errorf("%d: %+v, temporary %v; want %+v", c.status, e, e.Temporary(), c)
		}
	}
}

func TestErrorEnvelope(t *testing.T) {
	for _, words := range []string{"plain", "\"quoted\"\n\x00\u2028", "bad \xff bytes", ""} {
		e := anthropic.ForStatus(400, words)
		var got struct {
			Type  string
			Error struct{ Type, Message string }
		}
		if err := json.Unmarshal(e.Envelope(), &got); err != nil {
			t.Fatalf("%s: %v", e.Envelope(), err)
		}
		want := words
		if words == "bad \xff bytes" {
			want = "bad \uFFFD bytes"
		}
		if got.Type != "error" || got.Error.Type != "invalid_request_error" || got.Error.Message != want {
			t.Errorf("%q: %+v", words, got)
		}
	}
}

func TestErrorWraps(t *testing.T) {
	e := anthropic.ForStatus(502, "cut")
	e.Err = io.ErrUnexpectedEOF
	if !errors.Is(e, io.ErrUnexpectedEOF) || e.Error() != "502 api_error: cut" {
		t.Errorf("%v", e)
	}
	if e := (&anthropic.Error{Message: "only words"}); e.Error() != "only words" {
		t.Errorf("%v", e)
	}
}

func TestUsageMerge(t *testing.T) {
	a := anthropic.Usage{Known: true, Input: 10, CacheRead: 3, Output: 1, Tier: "standard"}
	for _, c := range []struct {
		name    string
		b, want anthropic.Usage
	}{
		{"nothing reported", anthropic.Usage{Input: 5}, a},
		{"zeros keep", anthropic.Usage{Known: true, Output: 7}, anthropic.Usage{Known: true, Input: 10, CacheRead: 3, Output: 7, Tier: "standard"}},
		{"counts replace", anthropic.Usage{Known: true, Input: 4, Tier: "priority"}, anthropic.Usage{Known: true, Input: 4, CacheRead: 3, Output: 1, Tier: "priority"}},
		{"a cost alone", anthropic.Usage{CostKnown: true, Cost: 0}, anthropic.Usage{Known: true, Input: 10, CacheRead: 3, Output: 1, Tier: "standard", CostKnown: true}},
	} {
		if got := a.Merge(c.b); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	if got := (anthropic.Usage{}).Merge(anthropic.Usage{CostKnown: true, Cost: 5}); got.Known || got.Cost != 5 {
		t.Errorf("a cost makes no tokens known: %+v", got)
	}
}
