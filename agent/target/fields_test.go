package target

import (
	"testing"

	"share/tunnel"
)

func TestScrub(t *testing.T) {
	var h tunnel.Header
	for _, f := range [][2]string{
		{"Server", "x"}, {"Share-Error", "target_refused"}, {"sHARE-request-id", "1"}, {"Share_Error", "x"},
		{"Shared", "yes"}, {"Proxy-Status", "share-agent; error=connection_refused"},
		{"proxy-status", "cdn; x=1"}, {"Set-Cookie", "share-agent"},
	} {
		h.Add(f[0], f[1])
	}
	var got string
	for _, f := range scrub(h) {
		got += string(f.Name) + "=" + string(f.Value) + "\n"
	}
	want := "Server=x\nShared=yes\nproxy-status=cdn; x=1\nSet-Cookie=share-agent\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestScrubProxyStatus(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{`cdn`, `cdn`},
		{`cdn ,  "other; x";a=1`, `cdn ,  "other; x";a=1`},
		{`share-agent`, ``},
		{`Share-Relay; error=x`, ``},
		{`"share-agent"; error=x`, ``},
		{`cdn; details="a, share-agent", share-relay;error=x, b`, `cdn; details="a, share-agent", b`},
		{`share-agent, cdn`, `cdn`},
		{`a; d="\", share-agent"`, `a; d="\", share-agent"`},
		{`a; d="open, share-agent`, ``},
		{`a; d="\`, ``},
		{`share-agentx`, `share-agentx`},
		{``, ``},
	} {
		if got := string(scrubProxyStatus([]byte(test.in))); got != test.want {
			t.Errorf("%s: got %s, want %s", test.in, got, test.want)
		}
	}
}

// What is left bears no name of share's, and would be left as it is.
func FuzzScrubProxyStatus(f *testing.F) {
	for _, s := range []string{`cdn; d="a, b", share-agent`, `"share-relay"`, `a, "`, `x;y="\""`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := scrubProxyStatus([]byte(s))
		if got == nil {
			return
		}
		if len(got) > 2*len(s)+1 {
			t.Errorf("%q grew to %q", s, got)
		}
		if again := scrubProxyStatus(got); string(again) != string(got) {
			t.Errorf("%q: %q, then %q", s, got, again)
		}
		for rest := got; rest != nil; {
			var member []byte
			var ok bool
			if member, rest, ok = cutMember(rest); !ok || isShareMember(member) {
				t.Fatalf("%q: %q keeps %q", s, got, member)
			}
		}
	})
}
