package agent

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// event is a line. Fields whose type has been seen to vary, or may, stay raw.
type event struct {
	Type        string         `json:"type"`
	Subtype     string         `json:"subtype"`
	Session     string         `json:"session_id"`
	Parent      string         `json:"parent_tool_use_id"` // set in a subagent's
	Cwd         string         `json:"cwd"`                // system/init
	Model       string         `json:"model"`
	Error       jsontext.Value `json:"error"`   // assistant, api_retry: class of an API error
	Message     jsontext.Value `json:"message"` // assistant, user: see message
	Task        string         `json:"task_id"` // system/task_*
	TaskType    string         `json:"task_type"`
	Background  bool           `json:"is_backgrounded"`
	Status      jsontext.Value `json:"status"` // task_notification
	Patch       patch          `json:"patch"`  // task_updated
	Tasks       []task         `json:"tasks"`  // background_tasks_changed: all of them
	Attempt     int            `json:"attempt"`
	MaxRetries  int            `json:"max_retries"`
	ErrorStatus jsontext.Value `json:"error_status"` // api_retry
}

type message struct {
	Content jsontext.Value `json:"content"` // a list of blocks, or a string
}

type patch struct {
	Status string `json:"status"`
}

type task struct {
	ID   string `json:"task_id"`
	Type string `json:"task_type"`
}

const shell = "local_bash" // the task_type of a command

// block is a part of a message.
type block struct {
	Type    string         `json:"type"`
	Text    string         `json:"text"`
	Name    string         `json:"name"`
	Input   jsontext.Value `json:"input"`
	Content jsontext.Value `json:"content"`
	IsError bool           `json:"is_error"`
}

var tolerant = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// blocks are the parts of an event's message; a plain string is one text.
func blocks(e event) []block {
	var m message
	if json.Unmarshal(e.Message, &m, tolerant) != nil {
		return nil
	}
	var parts []block
	if json.Unmarshal(m.Content, &parts, tolerant) != nil {
		return []block{{Type: "text", Text: text(m.Content)}}
	}
	return parts
}

// text is a string, or else the JSON as it stands; "" for null and where there is nothing.
func text(v jsontext.Value) string {
	if len(v) == 0 || v.Kind() == 'n' {
		return ""
	}
	var s string
	if json.Unmarshal(v, &s, tolerant) != nil {
		return string(v)
	}
	return s
}
