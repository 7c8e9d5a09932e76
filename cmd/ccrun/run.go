package main

import (
	"context"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/ccrun/ccrun/runner"
	"github.com/ccrun/ccrun/runner/agent"
)

const (
	task    = group("Basics")
	model   = group("Model and providers")
	claude  = group("Claude Code")
	output  = group("Limits and output")
	tapes   = group("Record and replay")
	another = group("Other")
)

var runFlags = []cli.Flag{
	task.text("prompt", "what Claude Code is to do", "p"),
	task.text("prompt-file", "a file with the prompt; - is standard input, to its end"),
	task.text("cwd", "the folder to work in (default: this one)"),
	task.text("resume", "go on with the session of this `ID`"),
	task.flag("continue", "go on with the newest session of the folder"),
	task.flag("demo", "mend a scratch repository with a recorded model: no key, no account"),

	model.text("config", "configuration `FILE`: JSON5, JSON or YAML, with claude-code-router's keys", "c"),
	model.text("model", "the default route, as `provider,model` or provider/model"),
	model.text("provider", "the provider of --model, or of the default route"),
	model.text("prices", "a `FILE` of prices that override the table's"),
	model.flag("allow-unpriced", "let a model without a known price run under a cost cap"),

	claude.text("claude", "path of the Claude Code executable (default: $CLAUDE_PATH, PATH, else it is installed)"),
	claude.text("claude-version", "the version to install (default: "+agent.Version+")"),
	claude.list("allowed-tools", "tools that need no permission, such as \"Bash(go test:*)\"; may be repeated", "allowedTools"),
	claude.list("disallowed-tools", "tools that are refused; may be repeated", "disallowedTools"),
	claude.text("permission-mode", "acceptEdits, plan, default or bypassPermissions (default: acceptEdits)"),
	claude.text("append-system-prompt", "text put behind the system prompt"),
	claude.list("mcp-config", "MCP servers, as a file or JSON; may be repeated"),
	claude.text("settings", "Claude Code's settings, as a file or JSON"),
	claude.text("json-schema", "JSON Schema that the structured output must have"),
	claude.list("add-dir", "a further folder that tools may use; may be repeated"),
	claude.text("claude-args", "more arguments for Claude Code, split as a shell would; or put them behind --"),
	claude.list("pass-env", "a variable that the agent may see, secrets included; may be repeated"),
	claude.flag("fail-on-denial", "end as a failure when a tool call was denied"),

	output.number("max-turns", "end after this many turns"),
	output.duration("timeout", "end after this time", 30*time.Minute),
	output.text("output-dir", "`DIR` for report, result and logs"),
	output.flag("json", "print the report as JSON on standard output"),
	output.flag("quiet", "print only errors"),
	output.flag("verbose", "print what the agent says, and every request"),

	tapes.text("record", "write what the providers answer to a `FILE`"),
	tapes.text("replay", "let a recorded `FILE` answer: no network, no cost"),

	another.flag("dry-run", "show what would be run, with which routes and prices; run nothing"),
	another.text("ci", "the CI host (default: it is looked for)"),
}

func runCommand(sys runner.System, rest []string) *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "run one task with Claude Code",
		UsageText: "ccrun run --model PROVIDER/MODEL -p PROMPT [flags] [-- CLAUDE CODE'S OWN FLAGS]",
		Flags:     runFlags,
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := noArgs(c, "give the prompt with -p, and flags for Claude Code behind --"); err != nil {
				return err
			}
			if code := runner.Run(ctx, jobOf(c, sys, rest)).ExitCode; code != 0 {
				return exitError(code)
			}
			return nil
		},
	}
}

// lines are the values of a flag that may be repeated; in an environment variable each has a line of its own.
func lines(all []string) []string {
	var out []string
	for _, v := range all {
		for _, l := range strings.Split(v, "\n") {
			if l = strings.TrimSpace(l); l != "" {
				out = append(out, l)
			}
		}
	}
	return out
}

func jobOf(c *cli.Command, sys runner.System, rest []string) runner.Job {
	return runner.Job{
		Prompt: c.String("prompt"), PromptFile: c.String("prompt-file"), Demo: c.Bool("demo"),
		ConfigFile: c.String("config"), Model: c.String("model"), Provider: c.String("provider"), PricesFile: c.String("prices"),
		Cwd: c.String("cwd"), OutputDir: c.String("output-dir"), Timeout: c.Duration("timeout"),
		Agent: agent.Invocation{
			MaxTurns:        c.Int("max-turns"),
			AllowedTools:    lines(c.StringSlice("allowed-tools")),
			DisallowedTools: lines(c.StringSlice("disallowed-tools")),
			PermissionMode:  c.String("permission-mode"), AppendSystemPrompt: c.String("append-system-prompt"),
			MCPConfig: c.StringSlice("mcp-config"), Settings: c.String("settings"), JSONSchema: c.String("json-schema"),
			AddDirs: lines(c.StringSlice("add-dir")), Resume: c.String("resume"), Continue: c.Bool("continue"),
			ClaudeArgs: c.String("claude-args"), Extra: rest,
		},
		Claude: c.String("claude"), ClaudeVer: c.String("claude-version"), PassEnv: lines(c.StringSlice("pass-env")),
		FailOnDenial: c.Bool("fail-on-denial"),
		Record:       c.String("record"), Replay: c.String("replay"),
		DryRun: c.Bool("dry-run"), JSON: c.Bool("json"), Quiet: c.Bool("quiet"), Verbose: c.Bool("verbose"), CI: c.String("ci"),
		System: sys,
	}
}
