// Capture writes the requests of testdata/requests anew: it runs the real Claude Code against a scripted Messages server and
// keeps the shape of what arrives, with long texts cut and ids, paths and versions of no interest replaced.
//
//	go run ./proxy/route/testdata/capture -claude PATH [-only NAME] [-full DIR]
package main

import (
	"context"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/ccrun/ccrun/proxy/anthropic"
)

// A seen is one request as it arrived.
type seen struct {
	header http.Header
	body   string
}

func main() {
	claude := flag.String("claude", "", "the `path` of Claude Code")
	out := flag.String("out", "proxy/route/testdata/requests", "the `folder` to write to")
	full := flag.String("full", "", "a `folder` for the bodies as they came, to look at")
	only := flag.String("only", "", "the `name` of one scene")
	flag.Parse()
	for _, s := range scenes() {
		if *only != "" && s.name != *only {
			continue
		}
		got, err := s.run(*claude)
		if err != nil {
			log.Printf("%s: %v", s.name, err)
		}
		if *full != "" {
			for i, r := range got {
				name := filepath.Join(*full, fmt.Sprintf("%s-%d.json", s.name, i))
				if err := os.WriteFile(name, []byte(r.body), 0o600); err != nil {
					log.Fatal(err)
				}
			}
		}
		for i, name := range s.keep {
			if name == "" {
				continue
			}
			if i >= len(got) {
				log.Printf("%s: request %d did not come", s.name, i)
				continue
			}
			doc, err := tidy(got[i])
			if err != nil {
				log.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(*out, name+".json"), doc, 0o644); err != nil {
				log.Fatal(err)
			}
		}
	}
}

// run lets the client play the scene in a fresh home and returns its requests in the order in which they came.
func (s scene) run(claude string) ([]seen, error) {
	home, err := os.MkdirTemp("", "scene")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(home)
	work := filepath.Join(home, "work")
	if err := os.Mkdir(work, 0o755); err != nil {
		return nil, err
	}
	for name, text := range s.files {
		if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	var mu sync.Mutex
	var got []seen
	page := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := io.WriteString(w, "<html><body><p>A page.</p></body></html>"); err != nil {
			log.Printf("%s: serving the page: %v", s.name, err)
		}
	}))
	defer page.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			log.Printf("%s: reading a request: %v", s.name, err)
			return
		}
		if r.Method != http.MethodPost || r.URL.Path != "/v1/messages" {
			return
		}
		mu.Lock()
		got = append(got, seen{r.Header.Clone(), string(body)})
		n := len(got) - 1
		mu.Unlock()
		reply := []anthropic.Event{{Kind: anthropic.Text, Text: "done"}, stop("end_turn", 100)}
		if n < len(s.replies) && s.replies[n] != nil {
			reply = s.replies[n]
		}
		w.Header().Set("Content-Type", "text/event-stream")
		out := anthropic.NewWriter(w, anthropic.Options{Model: "m", NewID: func(p string) string { return fmt.Sprintf("%s%06d", p, n) }})
		for _, e := range reply {
			e.Text = strings.ReplaceAll(e.Text, "PAGE", page.URL+"/page")
			if err := out.Write(e); err != nil {
				log.Printf("%s: answering request %d: %v", s.name, n, err)
			}
		}
		if err := out.Flush(); err != nil {
			log.Printf("%s: answering request %d: %v", s.name, n, err)
		}
	}))
	defer server.Close()
	ca := filepath.Join(home, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: page.Certificate().Raw}), 0o600); err != nil {
		return nil, err
	}

	args := append([]string{"-p", s.prompt, "--output-format", "json"}, s.args...)
	env := append([]string{
		"HOME=" + home, "PATH=/usr/bin:/bin", "ANTHROPIC_BASE_URL=" + server.URL, "ANTHROPIC_AUTH_TOKEN=token",
		"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1", "CLAUDE_CODE_GATEWAY_HINT_HEADERS=1", "NO_PROXY=127.0.0.1", "NODE_EXTRA_CA_CERTS=" + ca,
	}, s.env...)
	err = play(claude, work, args, env)
	if s.then != nil && err == nil {
		err = play(claude, work, s.then, env)
	}
	mu.Lock()
	defer mu.Unlock()
	for i := range got {
		got[i].body = strings.ReplaceAll(got[i].body, home, "/home/user")
	}
	return got, err
}

func play(claude, work string, args, env []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, claude, args...)
	cmd.Dir, cmd.Env = work, env
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, text)
	}
	return nil
}

func stop(reason string, input int64) anthropic.Event {
	return anthropic.Event{Kind: anthropic.Stop, Text: reason, Usage: anthropic.Usage{Known: true, Input: input, Output: 5}}
}

// call is a reply that calls one tool.
func call(name, input string) []anthropic.Event {
	return []anthropic.Event{
		{Kind: anthropic.ToolUse, ID: "toolu_01", Name: name}, {Kind: anthropic.ToolInput, Text: input}, stop("tool_use", 100),
	}
}
