package main

import (
	"encoding/base64"
	"log"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// A scene is one run of the client: what it is told, what it is answered in turn ("done" where nothing is said), and the names
// under which its requests are kept.
type scene struct {
	name    string
	prompt  string
	args    []string
	then    []string // a second run in the same home
	env     []string
	files   map[string]string
	replies [][]anthropic.Event
	keep    []string
}

const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

func scenes() []scene {
	png, err := base64.StdEncoding.DecodeString(pixel)
	if err != nil {
		log.Fatal(err)
	}
	tag := "<CCR-SUBAGENT-MODEL>deepseek,deepseek-chat</CCR-SUBAGENT-MODEL>"
	return []scene{
		{name: "main", prompt: "hi", keep: []string{"main"}},
		{name: "haiku", prompt: "hi", args: []string{"--model", "haiku"}, keep: []string{"haiku"}},
		{name: "unknown", prompt: "hi", args: []string{"--model", "deepseek,deepseek-chat"}, keep: []string{"explicit"}},
		{name: "enabled", prompt: "hi", args: []string{"--model", "claude-sonnet-4-5"}, keep: []string{"thinking-enabled"}},
		{name: "nothinking", prompt: "hi", env: []string{"CLAUDE_CODE_DISABLE_THINKING=1"}, keep: []string{"thinking-off"}},
		{name: "max", prompt: "hi", env: []string{"CLAUDE_CODE_EFFORT_LEVEL=max"}, keep: []string{"effort-max"}},
		{name: "xhigh", prompt: "hi", env: []string{"CLAUDE_CODE_EFFORT_LEVEL=xhigh"}, keep: []string{"effort-xhigh"}},
		{name: "plan", prompt: "hi", args: []string{"--permission-mode", "plan"}, keep: []string{"plan", "plan-turn-2"},
			files: map[string]string{"a.txt": "a"}, replies: [][]anthropic.Event{call("Read", `{"file_path":"a.txt"}`)}},
		{name: "planold", prompt: "hi", args: []string{"--permission-mode", "plan", "--model", "claude-sonnet-4-5"}, keep: []string{"plan-sonnet-4-5"}},
		{name: "planleft", prompt: "hi", args: []string{"--permission-mode", "plan"}, then: []string{"-p", "go on", "--continue", "--permission-mode", "acceptEdits"}, keep: []string{"", "plan-left"}},
		{name: "planleftold", prompt: "hi", args: []string{"--permission-mode", "plan", "--model", "claude-sonnet-4-5"}, then: []string{"-p", "go on", "--continue", "--model", "claude-sonnet-4-5"}, keep: []string{"", "plan-left-sonnet-4-5"}},
		{name: "plannobetas", prompt: "hi", args: []string{"--permission-mode", "plan"}, keep: []string{"plan-no-betas", "plan-left-no-betas"}, then: []string{"-p", "go on", "--continue"},
			env: []string{"CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS=1", "CLAUDE_CODE_MODEL_CAPABILITIES=-mid_conv_system,-mid_conv_tool_change,-per_turn_effort"}},
		{name: "auto", prompt: "hi", args: []string{"--permission-mode", "auto"}, keep: []string{"auto-mode"}},
		{name: "agent", prompt: "hi", keep: []string{"", "subagent", "subagent-parent"},
			replies: [][]anthropic.Event{call("Agent", `{"description":"look","prompt":"Look around.","subagent_type":"general-purpose","run_in_background":false}`)}},
		{name: "agenttag", prompt: "hi", keep: []string{"", "subagent-tag"},
			replies: [][]anthropic.Event{call("Agent", `{"description":"look","prompt":"`+tag+`Look around.","subagent_type":"general-purpose","run_in_background":false}`)}},
		{name: "agentdef", prompt: "hi", keep: []string{"", "subagent-definition"},
			args:    []string{"--agents", `{"scout":{"description":"looks","prompt":"` + tag + `\nYou look around."}}`},
			replies: [][]anthropic.Event{call("Agent", `{"description":"look","prompt":"Look around.","subagent_type":"scout","run_in_background":false}`)}},
		{name: "agentdefbare", prompt: "hi", keep: []string{"", "subagent-definition-no-attribution"}, env: []string{"CLAUDE_CODE_ATTRIBUTION_HEADER=0"},
			args:    []string{"--agents", `{"scout":{"description":"looks","prompt":"` + tag + `You look around."}}`},
			replies: [][]anthropic.Event{call("Agent", `{"description":"look","prompt":"Look around.","subagent_type":"scout","run_in_background":false}`)}},
		{name: "search", prompt: "hi", args: []string{"--allowed-tools", "WebSearch"}, keep: []string{"", "web-search"}, env: []string{"ENABLE_TOOL_SEARCH=false"},
			replies: [][]anthropic.Event{call("WebSearch", `{"query":"weather"}`)}},
		{name: "fetch", prompt: "hi", args: []string{"--allowed-tools", "WebFetch", "--settings", `{"skipWebFetchPreflight":true}`}, keep: []string{"", "web-fetch"}, env: []string{"ENABLE_TOOL_SEARCH=false"},
			replies: [][]anthropic.Event{call("WebFetch", `{"url":"PAGE","prompt":"What is it?"}`)}},
		{name: "image", prompt: "hi", keep: []string{"", "image"}, files: map[string]string{"a.png": string(png)},
			replies: [][]anthropic.Event{call("Read", `{"file_path":"a.png"}`)}},
		{name: "compact", prompt: "hi", keep: []string{"", "", "compaction"}, files: map[string]string{"a.txt": "a"},
			replies: [][]anthropic.Event{
				call("Read", `{"file_path":"a.txt"}`),
				{{Kind: anthropic.ToolUse, ID: "toolu_02", Name: "Bash"}, {Kind: anthropic.ToolInput, Text: `{"command":"ls"}`}, stop("tool_use", 990000)},
			}},
	}
}
