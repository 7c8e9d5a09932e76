package runner

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/dialect"
	"github.com/ccrun/ccrun/proxy/usage"
	"github.com/ccrun/ccrun/runner/agent"
	"github.com/ccrun/ccrun/runner/process"
	"github.com/ccrun/ccrun/runner/report"
)

// resultGrace is how long the agent may live on after its final result: it has been seen to hang there, held by an MCP
// server or by a connection.
const resultGrace = 10 * time.Second

// shellGrace is the same where only shell commands run on in the background: a test run may end and begin another turn, a
// development server never ends.
const shellGrace = 2 * time.Minute

// The schedules of signals that end a child. A CI host gives a cancelled job 7.5 s at most, and the report comes after.
const (
	interruptWait, terminateWait           = 5 * time.Second, 2 * time.Second
	cancelInterruptWait, cancelTermination = 2500 * time.Millisecond, time.Second
)

// agent runs Claude Code once and judges how it went.
func (r *run) agent(ctx context.Context, prompt string, hurry <-chan struct{}) error {
	inv := r.job.Agent
	inv.Prompt = prompt
	args, stdin, err := inv.Args()
	if err != nil {
		return because(Config, err)
	}
	save, closeSave := r.executionFile()
	defer closeSave()
	said := r.log.plain()
	watcher := agent.NewWatcher(agent.WatchOptions{Log: said, Verbose: r.job.Verbose, Save: save, Structured: inv.JSONSchema != ""})
	stderr := &tail{next: unrecognized{said}}
	cmd := process.Command{
		Path: r.exe.Path, Args: args, Env: agent.Env(r.environment(inv)), Dir: r.cwd, Stdin: stdin,
		Stdout: watcher, Stderr: stderr, Done: afterFinal(ctx, watcher.Final()), DoneGrace: -1, Hurry: hurry,
		Schedule: func(cause error) (time.Duration, time.Duration) {
			if errors.As(cause, new(errSignal)) {
				return cancelInterruptWait, cancelTermination
			}
			return interruptWait, terminateWait
		},
	}
	if w := r.router.window(); w > 0 && w < agent.MinContextTokens {
		r.warn("a context window of %d tokens is too small: Claude Code needs %d to work in", w, agent.MinContextTokens)
	}
	for _, t := range r.router.config.Routes.Default {
		if r.router.limits(t.Provider, t.Model).NoTools {
			r.warn("%s,%s takes no tools: Claude Code can do nothing with it but talk", t.Provider, t.Model)
		}
	}
	r.log.info("running Claude Code %s in %s", r.exe.Version, r.cwd)
	told := make(chan struct{})
	stopTelling := context.AfterFunc(ctx, func() { defer close(told); r.provisional(ctx) })
	try := report.Try{Started: time.Now()}
	end := func() {}
	if !r.job.Quiet {
		end = r.host.Group("Claude Code")
	}
	release := r.host.Fence(r.log.plain())
	exit, err := process.Run(ctx, cmd)
	if !stopTelling() {
		<-told
	}
	release()
	end()
	try.Ended = time.Now()
	if err == nil {
		err = r.judge(ctx, watcher.Verdict(agent.Exit{Code: exit.Code, Signal: exit.Signal, Stderr: stderr.String(),
			Overstayed: errors.Is(exit.Stopped, process.ErrOverstayed)}), exit)
	} else {
		err = notStarted(err)
	}
	r.leftovers(exit, watcher)
	reason, message, _ := reasonOf(ctx, err)
	try.Reason, try.Message, try.SessionID = string(reason), message, r.facts.SessionID
	r.facts.Attempts = append(r.facts.Attempts, try)
	return err
}

func notStarted(err error) error {
	switch {
	case errors.Is(err, process.ErrNotFound):
		return because(NotFound, err)
	case errors.Is(err, process.ErrNotExecutable):
		return because(NotExecutable, err)
	}
	return because(Internal, fmt.Errorf("starting Claude Code: %w", err))
}

// afterFinal is closed when the final result is old enough that nothing more is to be expected.
func afterFinal(ctx context.Context, final <-chan agent.Rest) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		var late <-chan time.Time
		for {
			select {
			case is := <-final:
				switch is {
				case agent.Busy:
					late = nil
				case agent.Shells:
					late = time.After(shellGrace)
				case agent.Done:
					late = time.After(resultGrace)
				}
			case <-late:
				close(done)
				return
			case <-ctx.Done():
				return
			}
		}
	}()
	return done
}

// environment is what Claude Code is told.
func (r *run) environment(inv agent.Invocation) agent.EnvOptions {
	rt := r.router
	return agent.EnvOptions{
		Environ: r.job.System.Environ, PassEnv: r.job.PassEnv, BaseURL: rt.url, Token: rt.session.Token,
		Timeout: cmp.Or(rt.config.APITimeout, apiTimeout), ContextTokens: rt.window(), OutputTokens: rt.output(), Capabilities: rt.capabilities(), Retries: clientRetries,
		Root: os.Geteuid() == 0, Bypass: inv.Bypass(),
	}
}

// apiTimeout is how long Claude Code waits for the headers of a reply: the router answers long before, be it with a ping.
const apiTimeout = 10 * time.Minute

// clientRetries bounds Claude Code's own repeats of a failing call: 0.5, 1, 2, 4 and 8 seconds. Its default of ten takes
// three minutes, in which a job only waits.
const clientRetries = 5

// window is the context window that Claude Code is told of: that of the longContext route where there is one, since longer
// prompts go there, else the smallest of the default route and its fallbacks; 0: not known.
func (rt *router) window() int64 {
	if long := rt.config.Routes.LongContext; len(long) > 0 {
		if w := rt.limits(long[0].Provider, long[0].Model).Window; w > 0 {
			return w
		}
	}
	return smallest(rt, func(l dialect.Limits) int64 { return l.Window })
}

// output is how many tokens an answer may have at most; 0: not known.
func (rt *router) output() int64 {
	return smallest(rt, func(l dialect.Limits) int64 { return l.MaxOutput })
}

func smallest(rt *router, of func(dialect.Limits) int64) int64 {
	var least int64
	for _, t := range rt.config.Routes.Default {
		if v := of(rt.limits(t.Provider, t.Model)); v > 0 && (least == 0 || v < least) {
			least = v
		}
	}
	return least
}

func (rt *router) limits(provider, model string) dialect.Limits {
	return rt.server.Limits(provider, model)
}

// capabilities takes away what a reachable model's provider does not understand. A translated request carries system
// messages in mid-conversation as well as it can, but not every model obeys them there.
func (rt *router) capabilities() string {
	for _, t := range rt.config.Targets() {
		if !rt.server.Native(t.Provider, t.Model) {
			return "-mid_conv_system,-mid_conv_tool_change,-per_turn_effort,-context_management"
		}
	}
	return ""
}

// executionFile takes what Claude Code prints, redacted.
func (r *run) executionFile() (io.Writer, func()) {
	if r.dir == "" {
		return nil, func() {}
	}
	name := filepath.Join(r.dir, "execution.jsonl")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		r.warn("what Claude Code prints is not kept: %v", err)
		return nil, func() {}
	}
	w := r.secrets.Writer(f)
	r.facts.Files.Execution = name
	return w, func() {
		err := w.Close()
		if closed := f.Close(); err == nil {
			err = closed
		}
		if err != nil {
			r.warn("what Claude Code printed is not all in %s: %v", name, err)
		}
	}
}

// judge makes an error of a verdict that is not a success. What the router saw is more exact than what the client says.
func (r *run) judge(ctx context.Context, v agent.Verdict, exit process.Exit) error {
	turns := v.Turns
	r.facts.Turns = &turns
	r.facts.Result, r.facts.StructuredOutput = v.Result, v.Structured
	if v.SessionID != "" {
		r.facts.SessionID = v.SessionID
	}
	for _, d := range v.Denials {
		r.facts.Denied = append(r.facts.Denied, report.Denial{Tool: d.Tool, Detail: d.Detail()})
	}
	if len(v.Denials) > 0 {
		r.warn("%d tool calls were denied: allow them with --allowed-tools", len(v.Denials))
	}
	rt := r.router
	if rt.player != nil {
		if err := rt.player.Fault(); err != nil {
			return because(APIError, err)
		}
	}
	if v.Stopped > 0 {
		r.warn("Claude Code stopped %d background agents before they were done", v.Stopped)
	}
	entries := rt.session.Ledger.Entries()
	if !v.OK {
		if exit.Stopped != nil && ctx.Err() == nil {
			return because(AgentFailed, fmt.Errorf("%s: %w", v.Message, exit.Stopped))
		}
		return refine(v, entries)
	}
	if !answered(entries) {
		return because(NoResult, errors.New("the agent gave a result, but no request was answered by a model"))
	}
	if r.job.FailOnDenial && len(v.Denials) > 0 {
		return because(AgentFailed, fmt.Errorf("%d tool calls were denied, and --fail-on-denial is set: allow them with --allowed-tools", len(v.Denials)))
	}
	return nil
}

// refine replaces the client's word for an API error by what the last failed call met: the client knows only our own
// address, and speaks of that.
func refine(v agent.Verdict, entries []usage.Entry) error {
	said := because(Reason(v.Reason), errors.New(v.Message))
	switch Reason(v.Reason) {
	case AgentFailed, NoResult, APIError, Auth, Quota, UnknownModel, RateLimited, Overloaded, Network, ContextOverflow:
	default:
		return said
	}
	if len(entries) == 0 {
		return said
	}
	last := entries[len(entries)-1]
	reason := Reason(last.Fault)
	switch last.Fault {
	case "", anthropic.FaultCancelled:
		return said
	case anthropic.FaultInternal, anthropic.FaultConfig:
		reason = Internal
	}
	var calls []string // of the request that failed last: each target that was tried
	for _, e := range entries {
		if e.Request == last.Request {
			calls = append(calls, fmt.Sprintf("%s,%s: %s", e.Provider, e.Model, e.Message))
		}
	}
	words := strings.Join(calls, "; ")
	if do := advice[reason]; do != "" {
		words += ": " + do
	}
	return because(reason, errors.New(words))
}

// advice is what to do next.
var advice = map[Reason]string{
	Auth:            "check the provider's key",
	Quota:           "the account has no money or no quota left: top it up, or name a fallback",
	UnknownModel:    "check the model's name and api_base_url",
	RateLimited:     "run it again later, or name a fallback for the route",
	Overloaded:      "run it again later, or name a fallback for the route",
	Network:         "run it again later, or check api_base_url and proxy",
	ContextOverflow: "give Router.longContext a model with a larger window",
}

func answered(entries []usage.Entry) bool {
	for _, e := range entries {
		if e.Fault == "" {
			return true
		}
	}
	return false
}

// leftovers says what was odd about the child's end.
func (r *run) leftovers(exit process.Exit, w *agent.Watcher) {
	if exit.Lingering > 0 {
		r.warn("Claude Code left %d processes behind: they were ended", exit.Lingering)
	}
	if exit.Unkilled > 0 {
		r.warn("%d processes of Claude Code could not be ended", exit.Unkilled)
	}
	if errors.Is(exit.Stopped, process.ErrOverstayed) {
		r.warn("Claude Code did not exit within %s of its result: it was ended", resultGrace)
	}
	for _, err := range []error{exit.OutputErr, exit.InputErr, exit.SweepErr, w.SaveErr()} {
		if err != nil {
			r.warn("%v", err)
		}
	}
}

// unrecognized drops Claude Code's remark that it does not know the model's name: the name is ours, and meant so.
type unrecognized struct{ next io.Writer }

func (u unrecognized) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, []byte("[claude-code:unrecognized_model]")) && bytes.Count(p, []byte("\n")) <= 1 {
		return len(p), nil
	}
	return u.next.Write(p)
}

// tail passes everything on and remembers the end of it.
type tail struct {
	next io.Writer
	mu   sync.Mutex
	last []byte
}

const tailBytes = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	t.last = append(t.last, p...)
	if n := len(t.last) - tailBytes; n > 0 {
		t.last = append(t.last[:0], t.last[n:]...)
	}
	t.mu.Unlock()
	return t.next.Write(p)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.last)
}
