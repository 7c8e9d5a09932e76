package dialect

import (
	"slices"
	"strings"
)

// About is what the row of a provider does, in words for people.
type About struct {
	Language string // the API that is spoken: chat, gemini, anthropic …
	Thinking string // what becomes of the model's thinking: "sent back", or "shown" where the provider does not want it
	Search   string // the provider's own web search: "yes", "no", or which models have it
}

// Describe tells of the row of that name; ok is false where no row has it.
func Describe(name string) (about About, ok bool) {
	q := byName(strings.ToLower(name))
	if q == nil {
		return About{}, false
	}
	about = About{Language: "chat", Thinking: "shown", Search: "no"}
	if q.replay != replayNone {
		about.Thinking = "sent back"
	}
	switch {
	case q.search != searchNone:
		about.Search = "yes"
	case q.forModel("search").search != searchNone:
		about.Search = "search models"
	}
	switch q.name {
	case geminiRow.name, vertexRow.name:
		about = About{Language: "gemini", Thinking: "sent back", Search: "yes"}
	case anthropicRow.name, vertexClaudeRow.name:
		about = About{Language: "anthropic", Thinking: "sent back", Search: "yes"}
	case bedrockRow.name:
		about = About{Language: "anthropic", Thinking: "sent back", Search: "no"}
	case vertexAllRow.name:
		about = About{Language: "gemini, anthropic or chat, by model", Thinking: "sent back", Search: "Gemini, Claude"}
	}
	return about, true
}

// Rows are the names of all rows, sorted.
func Rows() []string {
	var out []string
	for q := range rows {
		out = append(out, q.name)
	}
	slices.Sort(out)
	return out
}
