package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/ccrun/ccrun/runner/config"
)

var update = flag.Bool("update", false, "write the README's table of providers anew")

const providersHead = `### Providers

These need no entry in a file: ` + "`NAME/MODEL`" + ` and the key's variable are enough. An entry whose name or URL is one of them is
spoken to in the same way, any other as a server of OpenAI's API (chat); ` + "`transformer`" + ` names another language, as in
` + "`{use: [openai-responses]}`" + `. Thinking is shown to Claude Code always; "sent back" is where the provider's models go on
with what they thought before. Web search is the provider's own; without one set ` + "`Router.webSearch`" + `.
What is tested of each is listed in [.github/DIALECTS.md](.github/DIALECTS.md).

| name | key | language | thinking | web search |
|---|---|---|---|---|
`

// providersTable is the README's section, made of what the program knows.
func providersTable() string {
	var b strings.Builder
	b.WriteString(providersHead)
	for _, p := range config.KnownProviders() {
		name := p.Name
		if len(p.Also) > 0 {
			name += " (" + strings.Join(p.Also, ", ") + ")"
		}
		key := "none"
		if len(p.Keys) > 0 {
			key = "`" + strings.Join(p.Keys, "` or `") + "`"
		}
		if p.Cloud {
			key += ", or the machine's own credentials"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", name, key, p.About.Language, p.About.Thinking, p.About.Search)
	}
	return b.String()
}

// The README's section on providers says what the program knows.
func TestREADMEProviders(t *testing.T) {
	const file = "../../README.md"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	from, to := strings.Index(string(data), "### Providers\n"), strings.Index(string(data), "\n### As a router")
	if from < 0 || to < from {
		t.Fatal("the README's sections are not where they were")
	}
	got, want := string(data[from:to]), providersTable()
	if *update {
		if err := os.WriteFile(file, []byte(string(data[:from])+want+string(data[to:])), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got != want {
		t.Errorf("the README's table of providers is stale: run go test ./cmd/ccrun -run TestREADMEProviders -update\n%s", want)
	}
}
