package http1

import (
	"io"
	"slices"
	"testing"

	"share/tunnel"
)

func TestRequestRules(t *testing.T) {
	for _, tt := range requestRules {
		t.Run(tt.rule, func(t *testing.T) {
			var r Request
			n, err := readRequest(&r, []byte(tt.input))
			if got := causeOf(t, err); got != tt.want {
				t.Fatalf("RFC 9112 %s: got %v (%v), want %v", tt.section, got, err, tt.want)
			}
			if err == nil && n != len(tt.input) {
				t.Errorf("head of %d bytes, want %d", n, len(tt.input))
			}
		})
	}
}

func TestResponseRules(t *testing.T) {
	for _, tt := range responseRules {
		t.Run(tt.rule, func(t *testing.T) {
			var r Response
			n, err := readResponse(&r, []byte(tt.input), "GET")
			if got := causeOf(t, err); got != tt.want {
				t.Fatalf("RFC 9112 %s: got %v (%v), want %v", tt.section, got, err, tt.want)
			}
			if err == nil && n != len(tt.input) {
				t.Errorf("head of %d bytes, want %d", n, len(tt.input))
			}
			if err != nil && tunnel.AsFailure(err).By != tunnel.Agent {
				t.Error("a response's fault is not the agent's to answer for")
			}
		})
	}
}

func TestChunkRules(t *testing.T) {
	for _, tt := range slices.Concat(chunkRules, trailerRules) {
		t.Run(tt.rule, func(t *testing.T) {
			_, _, n, err := decode(false, []byte(tt.input))
			if err == io.EOF {
				err = nil
				if n != len(tt.input) {
					t.Errorf("body of %d bytes, want %d", n, len(tt.input))
				}
			}
			if got := causeOf(t, err); got != tt.want {
				t.Fatalf("RFC 9112 %s: got %v (%v), want %v", tt.section, got, err, tt.want)
			}
		})
	}
}

func TestChunkRulesOfResponses(t *testing.T) {
	blame := map[tunnel.Cause]tunnel.Cause{ruined: e502, e431: large}
	for _, tt := range chunkRules {
		t.Run(tt.rule, func(t *testing.T) {
			_, _, _, err := decode(true, []byte(tt.input))
			if err == io.EOF {
				err = nil
			}
			if got := causeOf(t, err); got != blame[tt.want] {
				t.Fatalf("got %v (%v), want %v", got, err, blame[tt.want])
			}
			if err != nil && tunnel.AsFailure(err).By != tunnel.Agent {
				t.Error("a response's fault is not the agent's to answer for")
			}
		})
	}
	for _, tt := range trailerRules {
		_, trailers, _, err := decode(true, []byte(tt.input))
		if err != io.EOF || len(trailers) != 1 || len(ForwardTrailers(nil, trailers)) != 0 {
			t.Errorf("%s: got %v, %q; want it taken and not forwarded", tt.rule, err, trailers)
		}
	}
}

func TestHostRules(t *testing.T) {
	for _, tt := range hostRules {
		_, _, err := CanonicalHost([]byte(tt.input))
		if got := causeOf(t, err); got != tt.want {
			t.Errorf("%s: RFC 9112 %s: got %v, want %v", tt.rule, tt.section, got, tt.want)
		}
	}
}

// decode decodes a chunked body that is there at once. n is how much of in was
// consumed; err is nil if the body goes on.
func decode(response bool, in []byte) (body []byte, trailers tunnel.Header, n int, err error) {
	var c Chunked
	c.Reset(response)
	for {
		data, k, err := c.Next(in[n:])
		body = append(body, data...)
		n += k
		if err != nil || len(data) == 0 {
			return body, c.Trailers(), n, err
		}
	}
}
