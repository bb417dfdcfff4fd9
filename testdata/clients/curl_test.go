package clients

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCurl compares what curl gets over each version of HTTP.
func TestCurl(t *testing.T) {
	curl := tool(t, "curl", "curl")
	direct := serve(t, http.HandlerFunc(curlTarget))
	through := tunnel(t, direct.http)
	upload := filepath.Join(t.TempDir(), "upload")
	if err := os.WriteFile(upload, []byte(strings.Repeat("0123456789", 100_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, version := range []struct {
		name, flag string
		secure     bool
	}{
		{"1.0", "--http1.0", false}, // the answer may say 1.1
		{"1.1", "--http1.1", false},
		{"1.1 TLS", "--http1.1", true},
		{"2 TLS", "--http2", true},
		{"2 prior knowledge", "--http2-prior-knowledge", false},
	} {
		for name, args := range map[string][]string{
			"GET":            {"/plain"},
			"chunked":        {"/chunked"},
			"empty":          {"/empty"},
			"error":          {"/error"},
			"HEAD":           {"-I", "/plain"},
			"range":          {"-r", "5-9", "/range"},
			"POST":           {"-d", "a=b", "/echo"},
			"upload":         {"-T", upload, "/echo"},
			"chunked upload": {"-T", upload, "-H", "Transfer-Encoding: chunked", "/echo"},
			"with Expect":    {"-T", upload, "-H", "Expect: 100-continue", "/echo"},
			"odd method":     {"-X", "FROB", "/echo"},
		} {
			if name == "chunked upload" && version.flag != "--http1.1" {
				continue // other versions have no such coding
			}
			t.Run(version.name+"/"+name, func(t *testing.T) {
				want := curlOnce(t, curl, direct, version.flag, version.secure, args)
				got := curlOnce(t, curl, through, version.flag, version.secure, args)
				if got != want {
					t.Errorf("through the tunnel:\n%s\ndirect:\n%s", got, want)
				}
			})
		}
	}
}

// curlOnce returns version, status, fields in an order of their own, and the
// body's digest. Date is fixed by the target.
func curlOnce(t *testing.T, curl string, p place, flag string, secure bool, args []string) string {
	t.Helper()
	dir := t.TempDir()
	base := p.url(secure)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(strings.TrimPrefix(base, "https://"), "http://"))
	path := args[len(args)-1]
	all := append([]string{
		"-sS", "--max-time", "20", flag, "--cacert", p.ca, "--noproxy", "*",
		"--resolve", p.host + ":" + port + ":127.0.0.1", "-D", "head", "-o", "body", "-w", "%{http_version}",
	}, args[:len(args)-1]...)
	version := run(t, dir, curl, append(all, base+path)...)
	if flag == "--http1.0" {
		version = ""
	}
	head, err := os.ReadFile(filepath.Join(dir, "head"))
	if err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(filepath.Join(dir, "body"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if slices.Contains(args, "-I") {
		body = nil // there it is the head again
	}
	var fields []string
	for line := range strings.Lines(string(head)) {
		line = strings.TrimSpace(line)
		if status, ok := strings.CutPrefix(line, "HTTP/"); ok {
			line = status[strings.IndexByte(status, ' ')+1:]
		}
		name, _, _ := strings.Cut(strings.ToLower(line), ":")
		switch name {
		case "", "connection", "via", "transfer-encoding": // each hop's own
		default:
			fields = append(fields, line)
		}
	}
	slices.SortFunc(fields, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return fmt.Sprintf("%s\n%s\n%x", version, strings.Join(fields, "\n"), sha256.Sum256(body))
}

// curlTarget answers in the ways that differ on the wire.
func curlTarget(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", "Thu, 01 Jan 2026 00:00:00 GMT")
	w.Header().Set("Content-Type", "text/plain")
	switch r.URL.Path {
	case "/plain":
		w.Header()["Set-Cookie"] = []string{"a=1", "b=2", "c=3"}
		w.Header().Set("Content-Length", "12")
		io.WriteString(w, "hello there\n")
	case "/chunked":
		for i := range 10 {
			fmt.Fprintln(w, "part", i)
			_ = http.NewResponseController(w).Flush()
		}
	case "/empty":
		w.WriteHeader(http.StatusNoContent)
	case "/error":
		w.Header().Set("Retry-After", "7")
		http.Error(w, "out of tea", http.StatusServiceUnavailable)
	case "/range":
		http.ServeContent(w, r, "", fixed, strings.NewReader("0123456789abcdef"))
	case "/echo":
		h := sha256.New()
		n, err := io.Copy(h, r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprintf(w, "%s %s %d %x\n", r.Method, r.Header.Get("Content-Type"), n, h.Sum(nil))
	}
}
