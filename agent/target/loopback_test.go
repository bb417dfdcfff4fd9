package target

import (
	"context"
	"net"
	"runtime"
	"strings"
	"testing"
)

// A street is what stands at the two loopback addresses of a port: an error there,
// or none. It notes who was visited.
type street struct {
	errs    map[string]error
	visited []string
}

func (s *street) connect(_ context.Context, _, addr string) (net.Conn, error) {
	s.visited = append(s.visited, addr)
	if err := s.errs[addr]; err != nil {
		return nil, err
	}
	a, b := net.Pipe()
	b.Close()
	return a, nil
}

func TestOtherLoopback(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("other numbers")
	}
	refused := refusedError()
	const four, six = "127.0.0.1:8080", "[::1]:8080"
	tests := []struct {
		name    string
		target  string
		errs    []map[string]error // in each look
		says    string             // of the symptom, empty for none
		visited string
	}{
		{"listens on ::1", four, []map[string]error{{four: refused}, {four: refused}, {four: refused}},
			"the target listens on ::1 only: share it as '[::1]:8080' or localhost:8080\n", "4 6 4 6 4"},
		{"on 127.0.0.1", six, []map[string]error{{six: refused}, {six: refused}, {six: refused}},
			"the target listens on 127.0.0.1 only: share it as 127.0.0.1:8080 or localhost:8080\n", "6 4 6 4 6"},
		{"over TLS", "https://" + four, []map[string]error{{four: refused}, {four: refused}},
			"the target listens on ::1 only: share it as 'https://[::1]:8080' or https://localhost:8080\n", "4 6 4 6"},
		{"in HTTP/2", "h2c://" + four, []map[string]error{{four: refused}, {four: refused}},
			"the target listens on ::1 only: share it as 'h2c://[::1]:8080' or h2c://localhost:8080\n", "4 6 4 6"},

		{"healthy", four, []map[string]error{nil, nil}, "", "4 4"},
		{"down at both", four, []map[string]error{{four: refused, six: refused}, {four: refused, six: refused}}, "", "4 6 4 6"},
		{"about to listen at both", four, []map[string]error{{four: refused}, nil, {four: refused}}, "", "4 6 4 4 6"},
		{"gone from there", four, []map[string]error{{four: refused}, {four: refused, six: refused}, {four: refused}}, "", "4 6 4 6 4 6"},
		{"down for another reason", four, []map[string]error{{four: context.DeadlineExceeded}, {four: context.DeadlineExceeded}}, "", "4 4"},
		{"localhost, which is both", "8080", []map[string]error{{four: refused, six: refused}, {four: refused, six: refused}}, "", "6 4 6 4"},
		{"another address", "192.0.2.1:8080", []map[string]error{{"192.0.2.1:8080": refused}, {"192.0.2.1:8080": refused}}, "", "192.0.2.1:8080 192.0.2.1:8080"},
	}
	for _, tt := range tests {
		addr, err := Parse(tt.target)
		if err != nil {
			t.Fatal(err)
		}
		var g told
		target, err := New(Config{Address: addr, OnSymptom: g.add})
		if err != nil {
			t.Fatal(err)
		}
		s := &street{}
		target.dialer.connect = s.connect
		target.dialer.tls = nil // which nobody speaks here
		for _, s.errs = range tt.errs {
			target.probe(t.Context())
		}
		target.Close()
		if got := g.cures(); got != tt.says {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.says)
		}
		if got := strings.NewReplacer(four, "4", six, "6").Replace(strings.Join(s.visited, " ")); got != tt.visited {
			t.Errorf("%s: connected to %s, want %s", tt.name, got, tt.visited)
		}
	}
}
