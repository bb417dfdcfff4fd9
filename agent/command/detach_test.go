package command

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestRelayLines(t *testing.T) {
	for _, tt := range []struct {
		in, out string
		told    *handover
		err     string
	}{
		{"", "", nil, ""},
		{"http://x.localhost:7070\n", "http://x.localhost:7070\n", nil, ""},
		{"http://x.localhost:7070\nhanded over {\"pid\":7,\"log\":\"/a b\"}\nmore\n", "http://x.localhost:7070\n", &handover{7, "/a b"}, ""},
		{`{"v":1,"detail":"handed over {"}` + "\n", `{"v":1,"detail":"handed over {"}` + "\n", nil, ""},
		{"handed over 7\n", "", nil, "what the agent says is no handover"},
		{strings.Repeat("x", maxLine+1), "", nil, "token too long"},
	} {
		var out bytes.Buffer
		told, err := relayLines(&out, strings.NewReader(tt.in))
		text := ""
		if err != nil {
			text = err.Error()
		}
		if out.String() != tt.out || (told == nil) != (tt.told == nil) || told != nil && *told != *tt.told ||
			!strings.Contains(text, tt.err) || (text == "") != (tt.err == "") {
			t.Errorf("%.80q: got %.80q, %+v, %v, want %.80q, %+v, %s", tt.in, out.String(), told, err, tt.out, tt.told, tt.err)
		}
	}
}

// FuzzRelayLines states that what is copied is what came before the handover, in
// lines, and that there is a handover only where a line says so.
func FuzzRelayLines(f *testing.F) {
	f.Add([]byte("http://x.localhost:7070\nhanded over {\"pid\":7,\"log\":\"x\"}\n"))
	f.Add([]byte("a\r\n\nb\r"))
	f.Add([]byte("handed over {"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var out bytes.Buffer
		told, err := relayLines(&out, bytes.NewReader(in))
		if told != nil && (err != nil || !bytes.Contains(in, []byte(handedOver))) {
			t.Errorf("%q: got %+v, %v", in, told, err)
		}
		before := strings.ReplaceAll(string(in)+"\n", "\r\n", "\n")
		if got := out.String(); !strings.HasPrefix(before, got) {
			t.Errorf("%q: got %q", in, got)
		}
	})
}

// A fork writes to both, until nobody waits; one that is broken does not keep lines
// from the other.
func TestFork(t *testing.T) {
	var log, first bytes.Buffer
	f := &fork{log: &log, until: &first}
	f.Write([]byte("a"))
	f.until = nil
	f.Write([]byte("b"))
	f.until = broken{}
	f.Write([]byte("c"))
	if log.String() != "abc" || first.String() != "a" {
		t.Errorf("got %q and %q, want abc and a", log.String(), first.String())
	}
}

// broken is a stream that takes nothing.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken") }
