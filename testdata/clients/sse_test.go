package clients

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	events     = 20
	eventEvery = 50 * time.Millisecond
	eventLate  = 100 * time.Millisecond // what a visitor may wait for an event that was sent
)

// TestEvents has an event stream arrive as it is sent, over HTTP/1.1 and
// HTTP/2: the first event within 100 ms of the request, each later one within
// 100 ms of its sending.
func TestEvents(t *testing.T) {
	epoch := time.Now()
	direct := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		if r.Method == http.MethodHead {
			return
		}
		tick := time.NewTicker(eventEvery)
		defer tick.Stop()
		for range events {
			fmt.Fprintf(w, "data: %d\n\n", time.Since(epoch))
			if http.NewResponseController(w).Flush() != nil {
				return
			}
			select {
			case <-tick.C:
			case <-r.Context().Done():
				return
			}
		}
	}))
	through := tunnel(t, direct.http)
	for _, secure := range []bool{false, true} {
		t.Run(map[bool]string{false: "HTTP/1.1", true: "HTTP/2"}[secure], func(t *testing.T) {
			client := through.client(t, secure)
			// The first request of all pays for what is opened once.
			if resp, err := client.Head(through.url(secure)); err == nil {
				resp.Body.Close()
			}
			// A machine that others use may stall for as long: once of three times
			// is enough.
			var worst time.Duration
			for range 3 {
				if worst = follow(t, client, through.url(secure), epoch); worst <= eventLate {
					return
				}
			}
			t.Errorf("an event came %s after it was sent, or the first after the request", worst)
		})
	}
}

// follow reads all events and returns how late the latest was, the first
// measured from the request.
func follow(t *testing.T, client *http.Client, url string, epoch time.Time) (worst time.Duration) {
	t.Helper()
	asked := time.Since(epoch)
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	n := 0
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		text, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		now := time.Since(epoch)
		sent, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			sent = int64(asked)
		}
		worst = max(worst, now-time.Duration(sent))
		n++
	}
	if n != events {
		t.Errorf("%d events, want %d", n, events)
	}
	return worst
}
