package access

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A sink is a writer that can be held up, and can fail.
type sink struct {
	hold chan struct{} // if not nil, each write takes one from it

	mu   sync.Mutex
	buf  bytes.Buffer // guarded by mu
	room int          // guarded by mu; bytes until it fails, if full is set
	full bool         // guarded by mu
}

var errFull = errors.New("no space left")

func (s *sink) Write(p []byte) (int, error) {
	if s.hold != nil {
		<-s.hold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full && len(p) > s.room {
		n, _ := s.buf.Write(p[:s.room])
		s.room = 0
		return n, errFull
	}
	return s.buf.Write(p)
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestLog(t *testing.T) {
	out := &sink{}
	l := New(out, Combined, silent())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				l.Write(usual())
			}
		})
	}
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l.Write(usual()) // late: lost
	want := strings.Repeat(string(Combined.append(nil, usual())), 800)
	if got := out.String(); got != want || l.Dropped() != 0 {
		t.Errorf("%d bytes, want %d; %d dropped", len(got), len(want), l.Dropped())
	}
}

// Nobody waits for an output that takes nothing. What has no room is dropped and
// counted, and that is said once the output goes on.
func TestLogNeverBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, said := &sink{hold: make(chan struct{})}, &sink{}
		l := New(out, JSON, slog.New(slog.NewTextHandler(said, nil)))
		r := usual()
		line := len(JSON.append(nil, r))
		l.Write(r)
		synctest.Wait() // it is being written, for good
		fit := maxPending / line
		for range fit + 10 {
			l.Write(r)
		}
		if got := l.Dropped(); got != 10 {
			t.Errorf("%d lines are dropped, want 10", got)
		}
		out.hold <- struct{}{}
		out.hold <- struct{}{}
		synctest.Wait()
		if got := strings.Count(out.String(), "\n"); got != fit+1 {
			t.Errorf("%d lines, want %d", got, fit+1)
		}
		if !strings.Contains(said.String(), "lines of the access log are dropped") || !strings.Contains(said.String(), "lines=10") {
			t.Errorf("it says %q", said)
		}
		l.Write(r)
		synctest.Wait()
		began := time.Now()
		if err := l.Close(); err == nil || time.Since(began) != closeTime {
			t.Errorf("closed after %v: %v", time.Since(began), err)
		}
		out.hold <- struct{}{}
		<-l.done
	})
}

// A line that a full disk has cut does not swallow the next.
func TestLogOnAFullDisk(t *testing.T) {
	out, said := &sink{full: true, room: 10}, &sink{}
	l := New(out, Combined, slog.New(slog.NewTextHandler(said, nil)))
	l.Write(usual())
	until(t, "the failure", func() bool { return strings.Contains(said.String(), "cannot be written") })
	out.mu.Lock()
	out.full = false
	out.mu.Unlock()
	l.Write(failed())
	l.Close()
	want := string(Combined.append(nil, usual())[:10]) + "\n" + string(Combined.append(nil, failed()))
	if got := out.String(); got != want || l.Dropped() != 1 {
		t.Errorf("got %q, want %q; %d dropped", got, want, l.Dropped())
	}
	if !strings.Contains(said.String(), errFull.Error()) || !strings.Contains(said.String(), "written again") {
		t.Errorf("it says %q", said)
	}
}

// A file that is moved away is let go of, and one that is not there made.
func TestFileFollowsItsPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "log")
		l, err := Open(path, Combined, silent())
		if err != nil {
			t.Fatal(err)
		}
		write := func(method string) {
			r := usual()
			r.Method = []byte(method)
			l.Write(r)
			synctest.Wait()
		}
		write("FIRST")
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
		write("SECOND") // it is not looked so soon
		time.Sleep(lookEvery)
		write("THIRD")
		time.Sleep(lookEvery)
		write("FOURTH")
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		for name, want := range map[string]string{path + ".1": "FIRST SECOND", path: "THIRD FOURTH"} {
			b, err := os.ReadFile(name)
			var got []string
			for line := range strings.Lines(string(b)) {
				_, rest, _ := strings.Cut(line, `"`)
				method, _, _ := strings.Cut(rest, " ")
				got = append(got, method)
			}
			if err != nil || strings.Join(got, " ") != want {
				t.Errorf("%s: %q, %v; want %s", filepath.Base(name), got, err, want)
			}
		}
	})
}

// Without a place for a new file the old one goes on, and a file is continued.
func TestFileIsKept(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sub", "log")
	if _, err := Open(path, JSON, silent()); err == nil || !strings.Contains(err.Error(), "access log: ") {
		t.Errorf("without a folder: %v", err)
	}
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := openFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	if err := os.Rename(filepath.Dir(path), filepath.Join(dir, "moved")); err != nil {
		t.Skip(err) // a system that keeps open files where they are
	}
	f.looked = time.Time{}
	if _, err := f.Write([]byte("after\n")); err == nil {
		t.Error("nobody learns that the file is elsewhere")
	}
	got, err := os.ReadFile(filepath.Join(dir, "moved", "log"))
	if string(got) != "before\nafter\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if f.lost() != 0 {
		t.Errorf("%d lines are lost", f.lost())
	}
}

func TestWriteAllocatesNothing(t *testing.T) {
	l := New(io.Discard, JSON, silent())
	defer l.Close()
	r := usual()
	// The buffers grow at first, and the other goroutine makes them.
	if n := testing.AllocsPerRun(1000, func() { l.Write(r) }); n > 0.5 {
		t.Errorf("%v allocations a line", n)
	}
}

// until waits until is holds.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); !is(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in time", what)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	for format, name := range map[Format]string{JSON: "JSON", Combined: "Combined"} {
		b.Run(name, func(b *testing.B) {
			l := New(io.Discard, format, silent())
			defer l.Close()
			r := usual()
			b.ReportAllocs()
			for b.Loop() {
				l.Write(r)
			}
			b.ReportMetric(float64(l.Dropped())/float64(b.N), "dropped/op")
		})
	}
}
