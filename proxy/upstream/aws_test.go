package upstream

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ccrun/ccrun/proxy/anthropic"
	"github.com/ccrun/ccrun/proxy/dialect"
)

const awsSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" // of AWS's own test suite

var authorization = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$`)

// checkSignature computes Signature Version 4 anew, from what came over the network, after AWS's description of it. It gives the
// region and the service, and an error where the signature is another one.
func checkSignature(method, rawPath, query string, header http.Header, host string, body []byte, secret string) (scope string, err error) {
	m := authorization.FindStringSubmatch(header.Get("Authorization"))
	if m == nil {
		return "", fmt.Errorf("no signature in %q", header.Get("Authorization"))
	}
	date, region, service, signed, signature := m[2], m[3], m[4], m[5], m[6]
	var canonical strings.Builder
	path := url.PathEscape(rawPath) // what stands in the URL is escaped once more, but for its slashes
	path = strings.NewReplacer("%2F", "/", ":", "%3A", "@", "%40", "&", "%26", "=", "%3D", "+", "%2B", "$", "%24").Replace(path)
	fmt.Fprintf(&canonical, "%s\n%s\n%s\n", method, path, query)
	for name := range strings.SplitSeq(signed, ";") {
		value := strings.Join(header[textproto.CanonicalMIMEHeaderKey(name)], ",")
		switch name {
		case "host":
			value = host
		case "content-length":
			value = fmt.Sprint(len(body))
		}
		fmt.Fprintf(&canonical, "%s:%s\n", name, strings.TrimSpace(value))
	}
	fmt.Fprintf(&canonical, "\n%s\n%x", signed, sha256.Sum256(body))
	toSign := fmt.Sprintf("AWS4-HMAC-SHA256\n%s\n%s/%s/%s/aws4_request\n%x", header.Get("X-Amz-Date"), date, region, service, sha256.Sum256([]byte(canonical.String())))
	key := []byte("AWS4" + secret)
	for _, part := range []string{date, region, service, "aws4_request", toSign} {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	if want := hex.EncodeToString(key); want != signature {
		return "", fmt.Errorf("signature %s, want %s of\n%s", signature, want, canonical.String())
	}
	return region + "/" + service, nil
}

// The check itself agrees with a published vector, "post-vanilla" of AWS's test suite for Signature Version 4.
func TestCheckSignature(t *testing.T) {
	const vector = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, " +
		"Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
	h := http.Header{"Authorization": {vector}, "X-Amz-Date": {"20150830T123600Z"}}
	if scope, err := checkSignature("POST", "/", "", h, "example.amazonaws.com", nil, awsSecret); err != nil || scope != "us-east-1/service" {
		t.Errorf("%q, %v", scope, err)
	}
}

// awsEnv is an environment of AWS with nothing of the machine's own.
func awsEnv(t *testing.T, more map[string]string) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION",
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		t.Setenv(name, "")
	}
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for name, value := range more {
		t.Setenv(name, value)
	}
}

func TestAWSSignature(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(profile, []byte("[ci]\naws_access_key_id=AKIDPROFILE\naws_secret_access_key="+awsSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, env := range map[string]map[string]string{
		"environment": {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": awsSecret, "AWS_SESSION_TOKEN": "session-token", "AWS_REGION": "eu-west-1"},
		"profile":     {"AWS_PROFILE": "ci", "AWS_SHARED_CREDENTIALS_FILE": profile, "AWS_DEFAULT_REGION": "eu-west-1"},
	} {
		t.Run(name, func(t *testing.T) {
			awsEnv(t, env)
			var scope string
			var err error
			var got *http.Request
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = r
				body, _ := io.ReadAll(r.Body)
				path, query, _ := strings.Cut(r.RequestURI, "?")
				scope, err = checkSignature(r.Method, path, query, r.Header, r.Host, body, awsSecret)
			}))
			defer s.Close()
			c := &dialect.Call{Path: "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.anthropic.claude%3A0/invoke",
				Body: []byte(`{"a":`), Rest: `"é"}`, Header: http.Header{"Accept": {"application/json"}}}
			p := &Provider{Name: "bedrock", BaseURL: s.URL, Auth: "aws", Header: http.Header{"X-Amzn-Bedrock-Trace": {"ENABLED"}}}
			if _, err := get(t, pool(t, Options{}), Ask{Provider: p, Call: c}); err != nil {
				t.Fatal(err)
			}
			if err != nil || scope != "eu-west-1/bedrock" {
				t.Errorf("%q, %v", scope, err)
			}
			if want := env["AWS_SESSION_TOKEN"]; got.Header.Get("X-Amz-Security-Token") != want {
				t.Errorf("session token %q, want %q", got.Header.Get("X-Amz-Security-Token"), want)
			}
			if !strings.Contains(got.Header.Get("Authorization"), "content-length") || !strings.Contains(got.Header.Get("Authorization"), "x-amzn-bedrock-trace") {
				t.Errorf("not all of the request is signed: %s", got.Header.Get("Authorization"))
			}
		})
	}
}

// An API key of Bedrock is sent as it is, and nothing is signed.
func TestAWSBearer(t *testing.T) {
	var got http.Header
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }))
	defer s.Close()
	p := &Provider{Name: "bedrock", BaseURL: s.URL, Auth: "aws", Keys: []string{key}}
	if _, err := get(t, pool(t, Options{}), Ask{Provider: p, Call: call("{}")}); err != nil {
		t.Fatal(err)
	}
	if got.Get("Authorization") != "Bearer "+key || got.Get("X-Amz-Date") != "" {
		t.Errorf("%v", got)
	}
}

func TestAWSWithoutCredentials(t *testing.T) {
	for want, env := range map[string]map[string]string{
		"set AWS_BEARER_TOKEN_BEDROCK": {"AWS_REGION": "us-east-1"},
		"set AWS_REGION":               {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": awsSecret},
	} {
		awsEnv(t, env)
		p := &Provider{Name: "bedrock", BaseURL: "http://127.0.0.1:1", Auth: "aws"}
		_, err := pool(t, Options{}).Do(context.Background(), Ask{Provider: p, Call: call("{}")})
		var e *anthropic.Error
		if !errors.As(err, &e) || e.Fault != anthropic.FaultAuth || !strings.Contains(e.Message, want) || strings.Contains(e.Message, awsSecret) {
			t.Errorf("%v, want %q in it", err, want)
		}
	}
}

func TestAWSRegion(t *testing.T) {
	for base, want := range map[string]string{
		"https://bedrock-runtime.us-east-1.amazonaws.com":                     "us-east-1",
		"https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com/":           "us-gov-west-1",
		"https://vpce-1-a.bedrock-runtime.eu-west-1.vpce.amazonaws.com":       "eu-west-1",
		"https://gateway.example.com/bedrock-runtime.us-east-1.amazonaws.com": "",
	} {
		if got := awsRegion(base); got != want {
			t.Errorf("%s: %q, want %q", base, got, want)
		}
	}
}
