package clients

import (
	"encoding/xml"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestH2Spec runs h2spec at the relay. It may fail no case that net/http's
// own server does not fail, too.
func TestH2Spec(t *testing.T) {
	dir := t.TempDir()
	h2spec := filepath.Join(dir, "h2spec")
	run(t, ".", "go", "build", "-o", h2spec, "github.com/summerwind/h2spec/cmd/h2spec")
	direct := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte(strings.Repeat("0123456789abcdef", 64)))
	}))
	// h2spec asks for the address it is given, which is the tunnel's name at
	// an agent with the relay inside, and no tunnel's elsewhere.
	through := tunnel(t, direct.http)
	for name, test := range map[string]struct {
		direct, through string
		flags           []string
	}{
		"prior knowledge": {direct.http, embedded(t, direct.http), nil},
		"TLS":             {direct.tls, through.tls, []string{"-t", "-k"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			known, total := h2specFailures(t, h2spec, test.direct, "", test.flags)
			failed, ran := h2specFailures(t, h2spec, test.through, "", test.flags)
			if total < 100 || ran != total {
				t.Errorf("%d cases ran, %d directly", ran, total)
			}
			for _, f := range failed {
				// An answer may overtake the rest of a malformed request, and
				// end a case before its point: what counts is what always fails.
				for try := 0; !slices.Contains(known, f); try++ {
					if try == 5 {
						t.Error(f)
						break
					}
					section, _, _ := strings.Cut(f, ": ")
					if again, _ := h2specFailures(t, h2spec, test.through, section, test.flags); !slices.Contains(again, f) {
						break
					}
				}
			}
			t.Logf("%d cases; failed: %d, %d directly", ran, len(failed), len(known))
		})
	}
}

// h2specFailures returns the names of the cases that failed at addr, each
// behind its section's, and how many were run: one section, or all.
func h2specFailures(t *testing.T, h2spec, addr, section string, flags []string) (failed []string, ran int) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "report.xml")
	// It ends with 1 if a case failed.
	args := append(slices.Clone(flags), "-h", host, "-p", port, "-o", "2", "-j", file)
	if section != "" {
		args = append(args, section)
	}
	out, err := output(t, ".", h2spec, args...)
	data, missing := os.ReadFile(file)
	if missing != nil {
		t.Fatalf("h2spec: %v\n%s", err, out)
	}
	var report struct {
		Suites []struct {
			Package string `xml:"package,attr"`
			Cases   []struct {
				Name    string    `xml:"classname,attr"`
				Failure *struct{} `xml:"failure"`
				Error   *struct{} `xml:"error"`
				Skipped *struct{} `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(data, &report); err != nil {
		t.Fatalf("h2spec's report: %v", err)
	}
	for _, suite := range report.Suites {
		for _, c := range suite.Cases {
			ran++
			if c.Failure != nil || c.Error != nil {
				failed = append(failed, suite.Package+": "+c.Name)
			}
		}
	}
	return failed, ran
}
