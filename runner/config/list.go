package config

import (
	"slices"
	"strings"

	"github.com/ccrun/ccrun/proxy/dialect"
)

// KnownProvider is a provider that needs no entry in a file, in words for people.
type KnownProvider struct {
	Name  string
	Also  []string // other names
	Keys  []string // variables that may hold its key, the first that is set wins; none: it takes no key
	Cloud bool     // without a key it is asked with the credentials that the machine has
	About dialect.About
}

// KnownProviders are all of them, sorted by name.
func KnownProviders() []KnownProvider {
	var out []KnownProvider
	for _, k := range knownProviders {
		about, ok := dialect.Describe(k.name)
		if !ok { // a server of OpenAI's API without a row of its own
			about = dialect.About{Language: "chat", Thinking: "shown", Search: "no"}
		}
		out = append(out, KnownProvider{Name: k.name, Also: slices.Clone(k.also), Keys: slices.Clone(k.keys), Cloud: k.cloud, About: about})
	}
	slices.SortFunc(out, func(a, b KnownProvider) int { return strings.Compare(a.Name, b.Name) })
	return out
}
