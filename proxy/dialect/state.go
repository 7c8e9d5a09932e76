package dialect

import "strings"

// State that a provider wants back (its own thinking, in its own form) travels in the conversation: it rides in the
// signature of the thinking block that we mint, so that a resume, a restart or a second replica needs no store. A signature
// is the mark, the kind of provider, a colon, and a payload; what it signs is meant for that kind alone.
const stateMark = "ccrun1:"

// mintSignature makes the signature of a thinking block that came from a provider of that kind.
func mintSignature(kind, payload string) string { return stateMark + kind + ":" + payload }

// mintedSignature reads a signature; ok is false for one that we did not mint: an Anthropic model's, or none.
func mintedSignature(signature string) (kind, payload string, ok bool) {
	rest, ok := strings.CutPrefix(signature, stateMark)
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, ":")
}
