package tunnel

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestHeader(t *testing.T) {
	var h Header
	h.Add("Content-Type", "text/plain")
	h.Add("content-type", "text/html")
	if got := string(h.Get("CONTENT-TYPE")); got != "text/plain" {
		t.Errorf("Get: %q, want the first", got)
	}
	if !h.Has("content-TYPE") || h.Has("content") || h.Get("content") != nil {
		t.Error("a field is found by a part of its name, or not by its name")
	}
	if got := string(h.Join("content-type")); got != "text/plain, text/html" || len(h.Join("content")) != 0 {
		t.Errorf("Join: %q", got)
	}
	// ASCII case alone is ignored: the Kelvin sign is no k.
	if EqualFold([]byte("\u212aey"), "key") || EqualFold([]byte("k@"), "k`") || !EqualFold([]byte("kEy"), "KeY") {
		t.Error("EqualFold folds what it should not, or not what it should")
	}
	if !HasPrefixFold([]byte("SHARE-x"), "share-") || HasPrefixFold([]byte("shar"), "share-") {
		t.Error("HasPrefixFold")
	}
}

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "a-b": true, "0": true, "xn--bcher-kva": true, strings.Repeat("a", 63): true,
		"": false, "-a": false, "a-": false, "A": false, "a.b": false, "a_b": false, "ü": false, "a b": false,
		"a\n": false, "-": false, strings.Repeat("a", 64): false,
	} {
		if got := ValidName(name); got != want {
			t.Errorf("ValidName(%q) = %v", name, got)
		}
	}
}

// Every cause has all that a page, a log and RFC 9209 need; one that is not
// known yet is a fault of share.
func TestCauses(t *testing.T) {
	for c := CauseNone + 1; int(c) < len(causes); c++ {
		e := causes[c]
		if e.name == "" {
			t.Errorf("cause %d has no name", c)
		}
		if answered := e.status != 0; answered != (e.proxy != "") || e.phrase == "" || answered && (e.status < 400 || e.status > 599) {
			t.Errorf("cause %v: %+v", c, e)
		}
		if named, ok := CauseNamed([]byte(e.name)); !ok || named > c || named.String() != e.name {
			t.Errorf("cause %v: its name leads to %v, %v", c, named, ok)
		}
	}
	for _, name := range []string{"", "none", "Internal", "internal2"} {
		if c, ok := CauseNamed([]byte(name)); ok || c != CauseNone {
			t.Errorf("%q leads to %v", name, c)
		}
	}
	for _, c := range []Cause{Cause(len(causes)), 0xffff} {
		if c.Status() != 500 || c.String() != "internal" || c.ProxyError() != "proxy_internal_error" || c.Phrase() == "" {
			t.Errorf("cause %d is %v, %d", c, c, c.Status())
		}
	}
	if Relay.String() != "share-relay" || Agent.String() != "share-agent" {
		t.Error("parties")
	}
}

func TestFailure(t *testing.T) {
	f := Fail(TargetRefused, io.ErrUnexpectedEOF)
	if got := f.Error(); got != "target_refused: unexpected EOF" || !errors.Is(f, io.ErrUnexpectedEOF) {
		t.Errorf("failure %q", got)
	}
	if got := Fail(NoAgent, nil).Error(); got != "no_agent" {
		t.Errorf("failure %q", got)
	}
	if AsFailure(nil) != nil || AsFailure(fmt.Errorf("x: %w", f)) != f || AsFailure(io.EOF).Cause != Internal {
		t.Error("AsFailure")
	}
}
