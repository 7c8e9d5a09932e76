// Package route decides which model answers a request.
//
// New makes a Router of the config's rules; Route reads one request and names the targets, best first, with the scenario
// that fits and a reason for the report. The scenarios are tried in this order, and the first that fits and has a route
// wins:
//
//	explicit     the request's model is "provider,model" of a configured provider; there is no other target
//	compaction   the client compacts its conversation
//	longContext  the prompt is longer than the threshold
//	tag          <CCR-SUBAGENT-MODEL>provider,model</CCR-SUBAGENT-MODEL> begins a subagent's prompt; no other target
//	webSearch    the request carries the provider's web search tool
//	subagent     a subagent asks
//	auxiliary    the client asks for itself, as to sum up a fetched page
//	background   the same, or the model's name says haiku
//	think        thinking is enabled by a budget, the effort is xhigh or max, or plan mode is active
//	image        the conversation has an image
//	default      everything else
//
// Adaptive thinking is no sign of "think": today's client asks for it in every main request. A request that carries the web
// search tool is never auxiliary or background: a small model may not have the tool.
//
// Route does no more than it must: tokens are counted only where a longContext route is set and the size of the body cannot
// decide; tools and conversation are read only where a route depends on them. A Router may be used by several goroutines.
package route

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// The scenarios, as they stand in Decision.Scenario and in a report.
const (
	Explicit    = "explicit"
	Compaction  = "compaction"
	LongContext = "longContext"
	Tag         = "tag"
	WebSearch   = "webSearch"
	Subagent    = "subagent"
	Auxiliary   = "auxiliary"
	Background  = "background"
	Think       = "think"
	Image       = "image"
	Default     = "default"
)

// Request is a request with what its headers tell of it.
type Request struct {
	Body    *anthropic.Request
	Class   string  // x-claude-code-request-class: main, subagent, auxiliary, compaction …; "" where the client does not say
	Agent   string  // x-claude-code-agent-id: a subagent asks; "" for the main one
	Session string  // x-claude-code-session-id
	Tokens  Counter // needed where a longContext route is set
}

// Counter tells how long a prompt is, in tokens. AtMost and AtLeast are bounds that cost next to nothing.
type Counter interface {
	Count(*anthropic.Request) int
	AtMost(*anthropic.Request) int
	AtLeast(*anthropic.Request) int
}

// Decision is which targets a request may go to, and why.
type Decision struct {
	Scenario string
	Reason   string             // a short sentence for the report
	Tokens   int                // of the prompt; 0: they were not counted
	Targets  []Target           // best first, at least one
	Body     *anthropic.Request // what to send where that is not the request as it came; else nil
}

// A Router decides. An error is an *anthropic.Error for the client: 404 where there is no such provider, or no route.
type Router interface {
	Route(ctx context.Context, r Request) (Decision, error)
}

// New makes the Router of a config: its rules, and the names of its providers, which requests may ask for in any case.
func New(rules Rules, providers []string) Router {
	if rules.LongContextThreshold <= 0 {
		rules.LongContextThreshold = 60000
	}
	r := &router{fallback: rules.Default, providers: map[string]string{}}
	for _, name := range providers {
		r.providers[strings.ToLower(name)] = name
	}
	r.beforeTag = routed(
		scenario{Compaction, rules.Compaction, compacts},
		scenario{LongContext, rules.LongContext, longerThan(rules.LongContextThreshold)})
	r.afterTag = routed(
		scenario{WebSearch, rules.WebSearch, searches},
		scenario{Subagent, rules.Subagent, isSubagent},
		scenario{Auxiliary, rules.Auxiliary, isAuxiliary},
		scenario{Background, rules.Background, isBackground},
		scenario{Think, rules.Think, thinks},
		scenario{Image, rules.Image, hasImage})
	return r
}

type router struct {
	beforeTag []scenario
	afterTag  []scenario
	fallback  []Target          // the default route
	providers map[string]string // by lower-case name
}

// routed are the scenarios that have a route.
func routed(all ...scenario) []scenario {
	return slices.DeleteFunc(all, func(s scenario) bool { return len(s.targets) == 0 })
}

func (r *router) Route(_ context.Context, req Request) (Decision, error) {
	tags := findTags(req.Body)
	d, err := r.decide(&query{Request: req}, tags)
	if err == nil && len(tags) > 0 {
		d.Body, err = strip(req.Body, tags)
	}
	return d, err
}

func (r *router) decide(q *query, tags []tag) (Decision, error) {
	if name := q.Body.Model; strings.Contains(name, ",") {
		return r.named(q, Explicit, name, "the request asks for ")
	}
	if d, ok := first(q, r.beforeTag); ok {
		return d, nil
	}
	if len(tags) > 0 {
		return r.named(q, Tag, tags[0].model, "a tag in the subagent's prompt asks for ")
	}
	if d, ok := first(q, r.afterTag); ok {
		return d, nil
	}
	if len(r.fallback) == 0 {
		e := anthropic.ForStatus(http.StatusNotFound, fmt.Sprintf("no route for model %q: the config has no Router.default", q.Body.Model))
		e.Fault = anthropic.FaultConfig
		return Decision{}, e
	}
	return Decision{Scenario: Default, Reason: "no other route fits", Tokens: q.tokens, Targets: r.fallback}, nil
}

func first(q *query, scenarios []scenario) (Decision, bool) {
	for _, s := range scenarios {
		if reason := s.match(q); reason != "" {
			return Decision{Scenario: s.name, Reason: reason, Tokens: q.tokens, Targets: s.targets}, true
		}
	}
	return Decision{}, false
}

// named is the decision for a model that was asked for as "provider,model".
func (r *router) named(q *query, scenario, name, reason string) (Decision, error) {
	provider, model, _ := strings.Cut(name, ",")
	provider, model = strings.TrimSpace(provider), strings.TrimSpace(model)
	known, ok := r.providers[strings.ToLower(provider)]
	if !ok || model == "" {
		return Decision{}, anthropic.ForStatus(http.StatusNotFound, fmt.Sprintf("%s%q, which is not provider,model of a configured provider (%s)",
			reason, name, strings.Join(slices.Sorted(maps.Values(r.providers)), ", ")))
	}
	t := Target{Provider: known, Model: model}
	return Decision{Scenario: scenario, Reason: reason + t.Provider + "," + t.Model, Tokens: q.tokens, Targets: []Target{t}}, nil
}

// thousands writes n with commas: 71,204.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
