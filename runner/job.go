// Package runner is one job, start to exit code: it starts the router, runs Claude Code with stdin closed, and hands over
// result, usage and cost.
//
// Run always returns, and always writes the report: after success, failure, time-out and signals. Nothing is asked, every
// wait is bounded, and provider keys stay in this process.
package runner

import (
	"io"
	"os"
	"time"

	"github.com/ccrun/ccrun/runner/agent"
)

// Job is what to run. The zero value of a field is its default.
type Job struct {
	Prompt     string
	PromptFile string // "-": standard input, to its end, at most 10 MB within 30 s
	Demo       bool   // the embedded task and its recorded model

	ConfigFile string
	Model      string // replaces Router.default: "provider,model" or "provider/model"
	Provider   string
	PricesFile string

	Cwd       string
	OutputDir string
	Timeout   time.Duration // of the whole run

	Agent        agent.Invocation // prompt, model, session and what goes with them are filled in
	Claude       string           // path of Claude Code; "": it is looked for, and installed if need be
	ClaudeVer    string           // "": the pinned version
	PassEnv      []string         // variables that are passed to the agent beside the usual ones
	FailOnDenial bool             // a denied tool call makes the run a failure

	Record string // a cassette to write
	Replay string // a cassette that stands for all providers

	DryRun  bool
	JSON    bool // the report goes to Stdout
	Quiet   bool
	Verbose bool
	CI      string // the name of the CI host; "": it is looked for

	System System
}

// System is the world outside: streams, environment and signals come in as values.
type System struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Environ        []string
	Signals        <-chan os.Signal // SIGINT, SIGTERM: the first ends the run in good order, the second at once
	Version        string           // of ccrun
}

// Result is how it ended.
type Result struct {
	Reason   Reason
	Message  string
	ExitCode int
	Dir      string // where the files are; "" where they could not be written
}
