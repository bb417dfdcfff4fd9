package target

import (
	"net/http"
	"regexp"
	"strconv"
	"testing"
)

// A relay that asks how long the target takes is told, and a target that says so
// itself is not heard.
func TestTiming(t *testing.T) {
	s := serve(t, replies("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\nShare-Timing: 1\r\n\r\n"))
	second := serveH2(t, nil, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Share-Timing", "1")
		w.Header()["Date"] = nil
	})
	for _, addr := range []string{s.addr, "h2c://" + second} {
		r := newRig(t, addr, Config{})
		for asks, want := range map[string]string{
			"Share-Timing: 1": `^Content-Length: 0\nShare-Timing: (\d+)\n$`,
			"A: 1":            `^Content-Length: 0\n()$`,
		} {
			a := r.ask(request("GET", "/", asks), "")
			m := regexp.MustCompile(want).FindStringSubmatch(a.header)
			if a.err != nil || a.status != 200 || m == nil {
				t.Errorf("%s, %s: got %+v, want %s", addr, asks, a, want)
				continue
			}
			if us, err := strconv.Atoi(m[1]); m[1] != "" && (err != nil || us > int(limit.Microseconds())) {
				t.Errorf("%s: it took %s µs", addr, m[1])
			}
		}
	}
}
