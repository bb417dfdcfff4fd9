//go:build unix

package upgrades

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// What lasts goes on in the old process: until its visitor leaves, and no longer
// than --grace.
func TestStreamsLiveOn(t *testing.T) {
	for _, tt := range []struct {
		name     string
		grace    string
		upgrades int // within the grace
		leave    bool
	}{
		{"until it is left", "10m", 2, true},
		{"until the grace is over", "10s", 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, "--grace", tt.grace)
			old := w.pid
			stream, err := w.dial(false)
			if err != nil {
				t.Fatal(err)
			}
			defer stream.Close()
			io.WriteString(stream, "GET /stream HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
			echo, err := w.dial(true)
			if err != nil {
				t.Fatal(err)
			}
			defer echo.Close()
			io.WriteString(echo, "GET /echo HTTP/1.1\r\nHost: "+host+"\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			events, echoes := bufio.NewReader(stream), bufio.NewReader(echo)
			if resp, err := http.ReadResponse(echoes, nil); err != nil || resp.StatusCode != 101 {
				t.Fatalf("%v, %v", resp, err)
			}
			lives := func(when string) bool {
				// What was on its way comes first.
				end := time.Now().Add(patience)
				stream.SetDeadline(end)
				echo.SetDeadline(end)
				io.WriteString(echo, when+"\n")
				line, err := echoes.ReadString('\n')
				if err != nil {
					return false
				}
				if line != when+"\n" {
					t.Errorf("%s: the echo is %q", when, line)
				}
				for range 10 {
					if _, err := events.ReadString('\n'); err != nil {
						return false
					}
				}
				return true
			}
			if !lives("before") {
				t.Fatal("nothing comes")
			}
			for i := range tt.upgrades {
				if !w.upgrade(i == 0) {
					return
				}
				if !lives("after") {
					t.Fatal("a stream did not outlive an upgrade")
				}
			}
			if tt.leave {
				stream.Close()
				echo.Close()
			} else {
				for lives("later") {
				}
			}
			if !ended(old) {
				t.Errorf("process %d has not ended", old)
			}
		})
	}
}

// Each process that was replaced leaves soon when nothing lasts, and leaves
// nothing behind in the folder that is not the next one's.
func TestOldProcessesLeave(t *testing.T) {
	w := newWorld(t)
	for i := range 3 {
		old := w.pid
		if !w.upgrade(i%2 == 0) {
			return
		}
		if !ended(old) {
			t.Errorf("process %d has not ended", old)
		}
	}
	client := &http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	req, err := http.NewRequest("GET", "http://"+w.http+"/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || !strings.HasPrefix(string(body), "/x ") {
		t.Errorf("got %q, %v", body, err)
	}
}
