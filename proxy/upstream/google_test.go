package upstream

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/dialect"
)

// serviceAccount is the JSON of a service account's key whose tokens come from a URL.
func serviceAccount(t *testing.T, tokenURL string) string {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "project-of-the-key", "client_email": "ci@project-of-the-key.iam.gserviceaccount.com",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "private_key_id": "1", "token_uri": tokenURL,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func vertexCall() *dialect.Call {
	return &dialect.Call{Path: "/publishers/anthropic/models/m:rawPredict", Body: []byte("{}"), Header: http.Header{}}
}

// The whole way: a key in the configuration or in a file, a token for it, and the project that it names in the URL.
func TestGoogleServiceAccount(t *testing.T) {
	var asked atomic.Int32
	var got *http.Request
	var grant string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			asked.Add(1)
			grant = r.FormValue("grant_type")
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"access_token":"ya29.fresh","token_type":"Bearer","expires_in":3600}`)
			return
		}
		got = r
	}))
	defer s.Close()
	text := serviceAccount(t, s.URL+"/token")
	file := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		keys []string
		env  string
	}{"in the configuration": {keys: []string{text}}, "in a file": {env: file}} {
		t.Run(name, func(t *testing.T) {
			asked.Store(0)
			p := pool(t, Options{Getenv: func(name string) string {
				if name == "GOOGLE_APPLICATION_CREDENTIALS" {
					return test.env
				}
				return ""
			}})
			provider := &Provider{Name: "vertex", BaseURL: s.URL + "/v1/projects/{project}/locations/us-east5", Auth: "google", Keys: test.keys}
			for range 3 {
				if _, err := get(t, p, Ask{Provider: provider, Call: vertexCall()}); err != nil {
					t.Fatal(err)
				}
				if got.Header.Get("Authorization") != "Bearer ya29.fresh" || got.URL.Path != "/v1/projects/project-of-the-key/locations/us-east5/publishers/anthropic/models/m:rawPredict" {
					t.Fatalf("%s with %q", got.URL, got.Header.Get("Authorization"))
				}
			}
			if asked.Load() != 1 || grant != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
				t.Errorf("asked %d times for a token, by %q", asked.Load(), grant)
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A token is used until shortly before it expires; the time is that of the bubble.
func TestGoogleTokenIsRefreshed(t *testing.T) {
	text := serviceAccount(t, "https://oauth2.example.com/token")
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		endpoint := roundTrip(func(*http.Request) (*http.Response, error) {
			asked++
			body := fmt.Sprintf(`{"access_token":"token-%d","token_type":"Bearer","expires_in":3600}`, asked)
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body))}, nil
		})
		g := &googleAuth{key: text, getenv: func(string) string { return "" }, client: &http.Client{Transport: endpoint}}
		for _, step := range []struct {
			after time.Duration
			want  string
		}{{0, "token-1"}, {59 * time.Minute, "token-1"}, {55 * time.Second, "token-2"}, {59 * time.Minute, "token-2"}, {2 * time.Hour, "token-3"}} {
			time.Sleep(step.after)
			r := httptest.NewRequest("POST", "https://aiplatform.googleapis.com/v1/projects/p/x", nil)
			if err := g.authorize(t.Context(), r, nil); err != nil {
				t.Fatal(err)
			}
			if got := r.Header.Get("Authorization"); got != "Bearer "+step.want {
				t.Errorf("after %v more: %q, want %q", step.after, got, step.want)
			}
		}
	})
}

// The metadata server gives tokens and the project to what runs in Google's cloud.
func TestGoogleMetadataServer(t *testing.T) {
	meta := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Metadata-Flavor") != "Google" {
			t.Errorf("%s without Metadata-Flavor", r.URL)
		}
		w.Header().Set("Metadata-Flavor", "Google")
		switch {
		case strings.HasSuffix(r.URL.Path, "/project/project-id"):
			io.WriteString(w, "project-of-the-machine")
		case strings.HasSuffix(r.URL.Path, "/token"):
			io.WriteString(w, `{"access_token":"ya29.machine","token_type":"Bearer","expires_in":3600}`)
		default:
			http.NotFound(w, r)
		}
	}))
	defer meta.Close()
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(meta.URL, "http://"))
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	t.Setenv("HOME", t.TempDir())
	t.Setenv("APPDATA", t.TempDir())
	var got *http.Request
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r }))
	defer s.Close()
	provider := &Provider{Name: "vertex", BaseURL: s.URL + "/v1/projects/{project}/locations/global", Auth: "google"}
	if _, err := get(t, pool(t, Options{}), Ask{Provider: provider, Call: vertexCall()}); err != nil {
		t.Fatal(err)
	}
	if got.Header.Get("Authorization") != "Bearer ya29.machine" || !strings.HasPrefix(got.URL.Path, "/v1/projects/project-of-the-machine/locations/global/") {
		t.Errorf("%s with %q", got.URL, got.Header.Get("Authorization"))
	}
}

// A given token is sent as it is.
func TestGoogleGivenToken(t *testing.T) {
	var got http.Header
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }))
	defer s.Close()
	provider := &Provider{Name: "vertex", BaseURL: s.URL + "/v1/projects/p/locations/global", Auth: "google", Keys: []string{"ya29.given"}}
	if _, err := get(t, pool(t, Options{}), Ask{Provider: provider, Call: vertexCall()}); err != nil {
		t.Fatal(err)
	}
	if got.Get("Authorization") != "Bearer ya29.given" {
		t.Errorf("%v", got)
	}
}

// What is wrong with credentials is said without a word of them, and tells whether another try may help.
func TestGoogleFaults(t *testing.T) {
	status := http.StatusBadRequest
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, `{"error":"invalid_grant","error_description":"Invalid JWT Signature."}`)
	}))
	defer s.Close()
	text := serviceAccount(t, s.URL)
	for _, test := range []struct {
		name, key string
		status    int
		want      string
		fault     anthropic.Fault
	}{
		{"refused", text, 400, "Invalid JWT Signature", anthropic.FaultAuth},
		{"endpoint down", text, 503, "503", anthropic.FaultNetwork},
		{"unreachable", strings.Replace(text, s.URL, "http://127.0.0.1:1", 1), 0, "refused", anthropic.FaultNetwork},
		{"not JSON", `{"private_key":"sec-ret-sec-ret`, 0, "the key is not JSON", anthropic.FaultAuth},
		{"broken key", `{"type":"service_account","private_key":"sec-ret-sec-ret","token_uri":"` + s.URL + `"}`, 0, "private key", anthropic.FaultAuth},
		{"unknown kind", `{"type":"sec-ret-sec-ret"}`, 0, "reading the key", anthropic.FaultAuth},
	} {
		status = test.status
		provider := &Provider{Name: "vertex", BaseURL: s.URL + "/v1/projects/p/locations/global", Auth: "google", Keys: []string{test.key}}
		_, err := pool(t, Options{}).Do(context.Background(), Ask{Provider: provider, Call: vertexCall()})
		var e *anthropic.Error
		if !errors.As(err, &e) || e.Fault != test.fault || !strings.Contains(e.Message, test.want) || strings.Contains(e.Message, "BEGIN PRIVATE") {
			t.Errorf("%s: %v, want %s with %q", test.name, err, test.fault, test.want)
		} else if test.name != "unknown kind" && strings.Contains(e.Message, "sec-ret") {
			t.Errorf("%s: the error holds the key: %v", test.name, err)
		}
	}
}

// A client that goes away does not wait for a token.
func TestGoogleCancelled(t *testing.T) {
	asked, hold := make(chan bool, 1), make(chan bool)
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- true
		<-hold
	}))
	defer s.Close()
	defer close(hold)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-asked
		cancel()
	}()
	provider := &Provider{Name: "vertex", BaseURL: s.URL + "/v1/projects/p/locations/global", Auth: "google", Keys: []string{serviceAccount(t, s.URL)}}
	if _, err := pool(t, Options{}).Do(ctx, Ask{Provider: provider, Call: vertexCall()}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
