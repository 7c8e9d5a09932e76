package cassette

import (
	"sort"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// Folders are the paths that differ from machine to machine and from run to run.
type Folders struct{ Cwd, Home, Temp string }

// The placeholders. Those with ":json" stand in a string that holds JSON, such as the arguments of a tool call: what fills
// them is escaped once more.
const (
	markOpen  = "{{ccrun:"
	markJSON  = ":json"
	markClose = "}}"
)

func (f Folders) named() [][2]string {
	all := [][2]string{{"cwd", f.Cwd}, {"home", f.Home}, {"temp", f.Temp}}
	out := all[:0]
	for _, n := range all {
		if len(n[1]) > 1 { // "/" would match everything
			out = append(out, n)
		}
	}
	// The longest first: the working folder often lies in the temp folder.
	sort.SliceStable(out, func(i, j int) bool { return len(out[i][1]) > len(out[j][1]) })
	return out
}

func identity(s string) string { return s }

// escape is s as it stands inside a JSON string.
func escape(s string) string { return anthropic.Quote(s).Inner() }

// hide puts placeholders into s, in which the folders stand as form writes them.
func (f Folders) hide(s string, form func(string) string, suffix string) string {
	for _, n := range f.named() {
		s = replacePath(s, form(n[1]), markOpen+n[0]+suffix+markClose)
	}
	return s
}

// hideRaw puts placeholders into JSON text as it stands: nested JSON first, where its escaping shows.
func (f Folders) hideRaw(s string) string {
	for _, n := range f.named() {
		once, twice := escape(n[1]), escape(escape(n[1]))
		if twice != once {
			s = replacePath(s, twice, markOpen+n[0]+markJSON+markClose)
		}
		s = replacePath(s, once, markOpen+n[0]+markClose)
	}
	return s
}

// fill puts the folders of this run into a line of a body.
func (f Folders) fill(line string) string {
	if !strings.Contains(line, markOpen) {
		return line
	}
	return strings.NewReplacer(
		markOpen+"cwd"+markClose, escape(f.Cwd), markOpen+"cwd"+markJSON+markClose, escape(escape(f.Cwd)),
		markOpen+"home"+markClose, escape(f.Home), markOpen+"home"+markJSON+markClose, escape(escape(f.Home)),
		markOpen+"temp"+markClose, escape(f.Temp), markOpen+"temp"+markJSON+markClose, escape(escape(f.Temp)),
	).Replace(line)
}

// replacePath replaces a path where it is not the beginning of a longer name: /root, but not in /rooted.
func replacePath(s, path, with string) string {
	var out strings.Builder
	for {
		i := strings.Index(s, path)
		if i < 0 {
			break
		}
		end := i + len(path)
		out.WriteString(s[:i])
		if end < len(s) && wordByte(s[end]) {
			out.WriteString(path)
		} else {
			out.WriteString(with)
		}
		s = s[end:]
	}
	if out.Len() == 0 {
		return s
	}
	out.WriteString(s)
	return out.String()
}

func wordByte(c byte) bool {
	return c == '_' || c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// leaf is where a frame of a stream carries a piece of a longer text.
type leaf struct {
	path  string
	key   string // what tells runs of this path apart, such as the index of a tool call
	start string // a frame that has this begins something: its text belongs behind it
	json  bool   // the text is JSON
}

var leaves = [...]leaf{
	{path: "choices.0.delta.content"},
	{path: "choices.0.delta.reasoning_content"},
	{path: "choices.0.delta.reasoning"},
	{path: "choices.0.delta.tool_calls.0.function.arguments", key: "choices.0.delta.tool_calls.0.index",
		start: "choices.0.delta.tool_calls.0.function.name", json: true},
	{path: "delta.text", key: "index"},
	{path: "delta.thinking", key: "index"},
	{path: "delta.partial_json", key: "index", json: true},
	{path: "candidates.0.content.parts.0.text"},
}

// item is a frame as it came, or a run of frames that carry one text.
type item struct {
	lines []string // the frame; for a run its template
	at    int      // the line of the template that has the data
	leaf  *leaf
	key   string
	text  strings.Builder
}

// cutAt is how many bytes of text a frame of a recording carries.
const cutAt = 32

// portable joins the deltas of a stream, puts placeholders into the whole texts, and cuts them anew: a path that arrived in
// two pieces is a path again, and a secret that did is seen as one by redact.
func (f Folders) portable(lines []string, redact func(string) string) []string {
	var items []*item
	for _, frame := range frames(lines) {
		items = append(items, take(&items, frame)...)
	}
	var out []string
	for _, it := range items {
		if it.leaf == nil {
			for _, l := range it.lines {
				out = append(out, f.hideRaw(l))
			}
			continue
		}
		text := it.text.String()
		if it.leaf.json {
			text = f.hide(text, escape, markJSON)
		} else {
			text = f.hide(text, identity, "")
		}
		for _, piece := range pieces(redact(text)) {
			for i, l := range it.lines {
				if i == it.at {
					l = setLeaf(l, it.leaf.path, piece)
				}
				out = append(out, l)
			}
		}
	}
	return out
}

// take returns the items that a frame adds; its text may go to a run that is there already.
func take(items *[]*item, frame []string) []*item {
	at, found := leafOf(frame)
	if found == nil {
		return []*item{{lines: frame}}
	}
	data := strings.TrimPrefix(frame[at], "data:")
	text := gjson.Get(data, found.path).Str
	key := found.path
	if found.key != "" {
		key += "#" + gjson.Get(data, found.key).Raw
	}
	run := earlier(*items, found, key)
	starts := found.start != "" && gjson.Get(data, found.start).Exists()
	if run != nil && !starts && pure(data) {
		run.text.WriteString(text)
		return nil
	}
	var added []*item
	if starts || run == nil {
		run = &item{lines: frame, at: at, leaf: found, key: key}
		added = append(added, run)
	}
	run.text.WriteString(text)
	if !pure(data) || starts {
		rest := append([]string(nil), frame...)
		rest[at] = setLeaf(frame[at], found.path, "")
		if starts {
			run.lines = append([]string(nil), frame...)
			run.lines[at] = continuation(frame[at])
			return []*item{{lines: rest}, run}
		}
		run.lines = append([]string(nil), frame...)
		run.lines[at] = plain(frame[at])
		added = append(added, &item{lines: rest})
	}
	return added
}

// earlier finds the run that a text continues: the last item, or one before it with only other tool calls between.
func earlier(items []*item, l *leaf, key string) *item {
	for i := len(items) - 1; i >= 0; i-- {
		it := items[i]
		if it.key == key {
			return it
		}
		if !l.json || it.leaf != nil && !it.leaf.json {
			return nil
		}
	}
	return nil
}

// pure tells whether a frame carries nothing but its text: no end and no usage.
func pure(data string) bool {
	end := gjson.Get(data, "choices.0.finish_reason")
	if !end.Exists() {
		end = gjson.Get(data, "candidates.0.finishReason")
	}
	usage := gjson.Get(data, "usage")
	return (!end.Exists() || end.Type == gjson.Null) && (!usage.Exists() || usage.Type == gjson.Null) &&
		!gjson.Get(data, "usageMetadata").Exists()
}

// plain takes end and usage out of a frame, for a run that must come before them.
func plain(line string) string {
	data := strings.TrimPrefix(line, "data:")
	for _, path := range []string{"usage", "usageMetadata", "choices.0.finish_reason", "candidates.0.finishReason"} {
		if d, err := sjson.Delete(data, path); err == nil {
			data = d
		}
	}
	return "data:" + data
}

// continuation takes name and id out of the frame that begins a tool call.
func continuation(line string) string {
	data := strings.TrimPrefix(plain(line), "data:")
	for _, path := range []string{"choices.0.delta.tool_calls.0.function.name", "choices.0.delta.tool_calls.0.id",
		"choices.0.delta.tool_calls.0.type", "choices.0.delta.role", "choices.0.delta.content"} {
		if d, err := sjson.Delete(data, path); err == nil {
			data = d
		}
	}
	return "data:" + data
}

func setLeaf(line, path, text string) string {
	data, err := sjson.SetRaw(strings.TrimPrefix(line, "data:"), path, string(anthropic.Quote(text)))
	if err != nil {
		return line
	}
	return "data:" + data
}

// leafOf finds the one text that a frame carries; a frame with several is left as it is.
func leafOf(frame []string) (line int, found *leaf) {
	for i, l := range frame {
		if !strings.HasPrefix(l, "data:") {
			continue
		}
		data := l[len("data:"):]
		for j := range leaves {
			if gjson.Get(data, leaves[j].path).Str == "" {
				continue
			}
			if found != nil {
				return 0, nil
			}
			line, found = i, &leaves[j]
		}
		if gjson.Get(data, "choices.0.delta.tool_calls.1").Exists() || gjson.Get(data, "candidates.0.content.parts.1").Exists() {
			return 0, nil
		}
	}
	return line, found
}

// frames groups lines, each group with the empty line that ends it.
func frames(lines []string) [][]string {
	var out [][]string
	var frame []string
	for _, l := range lines {
		frame = append(frame, l)
		if l == "" {
			out, frame = append(out, frame), nil
		}
	}
	if frame != nil {
		out = append(out, frame)
	}
	return out
}

// pieces cuts a text into deltas: never inside a character or a placeholder.
func pieces(text string) []string {
	var out []string
	for len(text) > cutAt {
		n := cutAt
		for n < len(text) && text[n]&0xC0 == 0x80 {
			n++
		}
		if i := strings.LastIndex(text[:n], "{"); i >= 0 { // a placeholder may begin here
			if from := strings.Index(text, markOpen); from >= 0 && from <= i {
				n = placeholderEnd(text, from, n)
			}
		}
		out = append(out, text[:n])
		text = text[n:]
	}
	return append(out, text)
}

// placeholderEnd moves a cut out of every placeholder that begins before it.
func placeholderEnd(text string, from, n int) int {
	for from >= 0 && from < n {
		end := strings.Index(text[from:], markClose)
		if end < 0 {
			return n
		}
		end += from + len(markClose)
		if end > n {
			return end
		}
		next := strings.Index(text[end:], markOpen)
		if next < 0 {
			return n
		}
		from = end + next
	}
	return n
}
