package device

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const (
	at         = "https://login.example.com/realms/x"
	discovery  = at + "/.well-known/openid-configuration"
	deviceCode = at + "/device"
	tokenAt    = "https://tokens.example.com/token"

	about = `{"issuer":"` + at + `","device_authorization_endpoint":"` + deviceCode + `","token_endpoint":"` + tokenAt + `"}`
	code  = `{"device_code":"secret-of-the-device","user_code":"WDJB-MJHT","verification_uri":"https://login.example.com/device","expires_in":1800,"interval":5}`
)

// world answers for an issuer: each URL with its answers in turn, the last again and
// again. A text of three digits before a space is the status.
type world struct {
	t       testing.TB
	answers map[string][]string
	asked   []string // form and time of each question for a token
	begin   time.Time
}

// broken is an answer that does not come.
const broken = "broken"

func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	answers := w.answers[r.URL.String()]
	if len(answers) == 0 {
		w.t.Errorf("asked at %s", r.URL)
		return nil, errors.New("nobody is there")
	}
	if len(answers) > 1 {
		w.answers[r.URL.String()] = answers[1:]
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if r.URL.String() == tokenAt {
		w.asked = append(w.asked, fmt.Sprintf("%v %s", time.Since(w.begin), body))
	}
	if answers[0] == broken {
		return nil, errors.New("connection reset")
	}
	status, text := 200, answers[0]
	if n, err := fmt.Sscanf(text, "%3d ", &status); n == 1 && err == nil {
		text = text[4:]
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Location": {"http://elsewhere.example.com"}}, Body: io.NopCloser(strings.NewReader(text))}, nil
}

// issuer is one that answers so, besides about itself and with a code.
func issuer(t testing.TB, answers map[string][]string) (*Issuer, *world) {
	w := &world{t: t, answers: map[string][]string{discovery: {about}, deviceCode: {code}}, begin: time.Now()}
	for at, texts := range answers {
		w.answers[at] = texts
	}
	return &Issuer{URL: at, ClientID: "share-cli", Scopes: []string{"openid", "email"}, Transport: w}, w
}

func why(code string) string { return `400 {"error":"` + code + `","error_description":"so it is"}` }

func TestLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, w := issuer(t, map[string][]string{tokenAt: {why("authorization_pending"), why("slow_down"), broken, "503 ", why("authorization_pending"), `{"id_token":"eyJ.eyJ.x"}`}})
		c, err := i.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if c.URL != "https://login.example.com/device" || c.Whole != "" || c.Text != "WDJB-MJHT" || c.Expires != 30*time.Minute || i.Host() != "login.example.com" {
			t.Errorf("%+v", c)
		}
		token, err := c.Wait(t.Context())
		if token != "eyJ.eyJ.x" || err != nil {
			t.Fatalf("%q, %v", token, err)
		}
		// It waits as it is told to, and longer when the issuer is lost.
		form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {"secret-of-the-device"}, "client_id": {"share-cli"}}.Encode()
		for n, after := range []string{"5s", "10s", "20s", "40s", "1m20s", "2m0s"} {
			if n >= len(w.asked) || w.asked[n] != after+" "+form {
				t.Errorf("question %d: got %q, want after %s", n, w.asked, after)
				break
			}
		}
	})
}

// A client that has a secret shows it, and what Google calls its page is one.
func TestLoginSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, w := issuer(t, map[string][]string{
			deviceCode: {`{"device_code":"d","user_code":"u","verification_url":"https://www.google.com/device","expires_in":100000}`},
			tokenAt:    {`428 {"error":"authorization_pending"}`, `{"id_token":"x"}`},
		})
		i.Secret = "public"
		c, err := i.Begin(t.Context())
		if err != nil || c.URL != "https://www.google.com/device" || c.Expires != maxLife || c.interval != usualInterval {
			t.Fatalf("%+v, %v", c, err)
		}
		if _, err := c.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		if len(w.asked) != 2 || !strings.Contains(w.asked[0], "client_secret=public") {
			t.Errorf("asked %q", w.asked)
		}
	})
}

func TestWaitFails(t *testing.T) {
	tests := []struct {
		name    string
		answers []string
		is      error  // in the error's chain, if not nil
		want    string // in the error
	}{
		{"denied", []string{why("authorization_pending"), why("access_denied")}, ErrDenied, "it was not allowed"},
		{"declined", []string{why("authorization_declined")}, ErrDenied, ""},
		{"expired there", []string{why("expired_token")}, ErrExpired, "the code has expired"},
		{"never done", []string{why("authorization_pending")}, ErrExpired, ""},
		{"lost for good", []string{why("authorization_pending"), broken}, nil, "connection reset"},
		{"another failure", []string{why("invalid_client")}, nil, `it says "invalid_client": "so it is"`},
		{"a failure without words", []string{`401 {}`}, nil, "it answers 401"},
		{"no JSON", []string{"<html>"}, nil, "it answers 200 with what is no JSON"},
		{"another JSON", []string{`{"id_token":{}}`}, nil, "no JSON as expected"},
		{"no ID token", []string{`{"access_token":"x"}`}, nil, "it gives no ID token"},
		{"one of two lines", []string{`{"id_token":"x\ny"}`}, nil, "it gives no ID token"},
		{"a token that is too long", []string{`{"id_token":"` + strings.Repeat("x", maxToken+1) + `"}`}, nil, "it gives no ID token"},
		{"too much", []string{`{"id_token":"` + strings.Repeat("x", maxAnswer) + `"}`}, nil, "more than 262144 bytes"},
		{"success with a failure's words", []string{`{"error":"access_denied"}`}, nil, "it gives no ID token"},
		{"a redirect", []string{`302 {"id_token":"x"}`}, nil, "it answers 302, and sends elsewhere"},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			i, _ := issuer(t, map[string][]string{tokenAt: tt.answers})
			c, err := i.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			token, err := c.Wait(t.Context())
			if err == nil || token != "" || !strings.Contains(err.Error(), tt.want) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%s: %q, %v", tt.name, token, err)
			}
		})
	}
}

func TestWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, _ := issuer(t, map[string][]string{tokenAt: {why("authorization_pending")}})
		c, err := i.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancelCause(t.Context())
		enough := errors.New("enough")
		time.AfterFunc(time.Minute, func() { stop(enough) })
		if _, err := c.Wait(ctx); err != enough {
			t.Errorf("got %v", err)
		}
	})
}

func TestBeginFails(t *testing.T) {
	with := func(old, new string) string { return strings.Replace(code, old, new, 1) }
	tests := []struct {
		name  string
		about string
		code  string
		want  string
	}{
		{"not there", "404 <html>", code, "it answers 404 with what is no JSON"},
		{"not there, in JSON", "404 {}", code, "it answers 404 when it is asked about itself"},
		{"down", "502 ", code, "it answers 502"},
		{"gone", broken, code, "connection reset"},
		{"elsewhere", "301 ", code, "it answers 301, and sends elsewhere"},
		{"too much", strings.Repeat("x", maxAnswer+1), code, "more than 262144 bytes"},
		{"another issuer", strings.Replace(about, at, "https://evil.example.com", 1), code, `it says that it is the issuer "https://evil.example.com"`},
		{"without devices", `{"issuer":"` + at + `"}`, code, "it has no device flow"},
		{"a code in plain", strings.Replace(about, deviceCode, "http://login.example.com/device", 1), code, `"http://login.example.com/device" is no https URL`},
		{"a token in plain", strings.Replace(about, tokenAt, "http://tokens.example.com", 1), code, "is no https URL"},
		{"no place for a token", strings.Replace(about, tokenAt, "", 1), code, `"" is no https URL`},
		{"no client", about, why("unauthorized_client"), `it says "unauthorized_client": "so it is"`},
		{"too often", about, "429 ", "it answers 429"},
		{"no code", about, "{}", "it gives no device code"},
		{"a device code with a line end", about, with("secret-of", `a\nb`), "it gives no device code"},
		{"no user code", about, with("WDJB-MJHT", ""), "it gives no code to type"},
		{"a user code that moves the cursor", about, with("WDJB-MJHT", `\u001b[2J`), "it gives no code to type"},
		{"a long user code", about, with("WDJB-MJHT", strings.Repeat("x", maxCode+1)), "it gives no code to type"},
		{"expired", about, with("1800", "0"), "it gives a code that has expired"},
		{"before it began", about, with("1800", "-1e300"), "it gives a code that has expired"},
		{"a page in plain", about, with("https://login", "http://login"), `it wants the user at "http://login.example.com/device" is no https URL`},
		{"a page of a script", about, with("https://login", "javascript:"), "is no https URL"},
		{"a page with a password", about, with("https://login", "https://x@login"), "is no https URL"},
		{"a page that moves the cursor", about, with("/device", `/\u001b[2J`), "is no https URL"},
		{"a whole page in plain", about, with(`"expires_in"`, `"verification_uri_complete":"http://x","expires_in"`), `"http://x" is no https URL`},
	}
	for _, tt := range tests {
		i, _ := issuer(t, map[string][]string{discovery: {tt.about}, deviceCode: {tt.code}})
		if c, err := i.Begin(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %+v, %v, want %s", tt.name, c, err, tt.want)
		}
	}
	for _, url := range []string{"", "http://login.example.com", "https://", "login.example.com", "https://a b", "https://login.example.com/\x1b"} {
		i := &Issuer{URL: url}
		if _, err := i.Begin(t.Context()); err == nil || i.Host() != "" {
			t.Errorf("%q is an issuer", url)
		}
	}
}

// An issuer that never answers is given up.
func TestSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &Issuer{URL: at, Transport: silent{}}
		begin := time.Now()
		_, err := i.Begin(t.Context())
		if _, ok := errors.AsType[*UnreachableError](err); !ok || time.Since(begin) != requestTimeout {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
	})
}

// silent answers when nobody waits any more, as one does that sends no end.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Body: io.NopCloser(stalled{r.Context()})}, nil
}

type stalled struct{ ctx context.Context }

func (s stalled) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

// Whatever an issuer answers, what is shown of it is printable, and where the user
// and the agent are sent is https.
func FuzzBegin(f *testing.F) {
	f.Add([]byte(about), []byte(code), []byte(`{"id_token":"x"}`))
	f.Add([]byte(about), []byte(`{"user_code":"a b","device_code":"x","verification_uri":"https://x","expires_in":1e300}`), []byte(why("slow_down")))
	f.Add([]byte("301 "), []byte("{}"), []byte(""))
	f.Fuzz(func(t *testing.T, about, code, token []byte) {
		i, w := issuer(t, map[string][]string{discovery: {string(about)}, deviceCode: {string(code)}, tokenAt: {string(token)}})
		w.t = quiet{t}
		c, err := i.Begin(t.Context())
		if err != nil {
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) {
				t.Errorf("error %q", err)
			}
			return
		}
		if !strings.HasPrefix(c.URL, "https://") || !printable(c.URL) || c.Text == "" || len(c.Text) > maxCode || c.Expires <= 0 || c.Expires > maxLife || c.interval < time.Second || c.interval > maxInterval {
			t.Errorf("%+v", c)
		}
		if c.Whole != "" && (!strings.HasPrefix(c.Whole, "https://") || !printable(c.Whole)) {
			t.Errorf("%+v", c)
		}
		got, _, err := c.ask(t.Context())
		if err == nil && (len(got) > maxToken || !printable(got)) {
			t.Errorf("token %q", got)
		}
	})
}

// quiet does not mind where an issuer sends.
type quiet struct{ testing.TB }

func (quiet) Errorf(string, ...any) {}
