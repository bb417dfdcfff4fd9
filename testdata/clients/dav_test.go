package clients

import (
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/webdav"
)

// TestLitmus runs the WebDAV suite against a server and through a tunnel to
// a second one: each test must have the same result.
func TestLitmus(t *testing.T) {
	litmus := tool(t, "litmus", "litmus")
	dav := func() *webdav.Handler {
		return &webdav.Handler{FileSystem: webdav.NewMemFS(), LockSystem: webdav.NewMemLS()}
	}
	want := litmusResults(t, litmus, serve(t, dav()).http)
	got := litmusResults(t, litmus, embedded(t, serve(t, dav()).http))
	if len(want) < 50 {
		t.Fatalf("litmus ran %d tests", len(want))
	}
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("missing: %s", want[i])
		case i >= len(want):
			t.Errorf("too many: %s", got[i])
		case got[i] != want[i]:
			t.Errorf("%s; direct: %s", got[i], want[i])
		}
	}
}

var litmusLine = regexp.MustCompile(`^ *\d+\. `)

// litmusResults returns a line for each test, less the addresses in it.
func litmusResults(t *testing.T, litmus, addr string) []string {
	t.Helper()
	// litmus ends with 1 if a test failed, which is no matter here.
	out, err := output(t, t.TempDir(), litmus, "-k", "http://"+addr+"/")
	var results []string
	for line := range strings.Lines(out) {
		// Progress is overwritten by carriage returns.
		line = strings.TrimRight(line, "\n")
		line = line[strings.LastIndexByte(line, '\r')+1:]
		if litmusLine.MatchString(line) {
			results = append(results, strings.ReplaceAll(line, addr, "ADDR"))
		}
	}
	if len(results) == 0 {
		t.Fatalf("litmus: %v\n%s", err, out)
	}
	return results
}
