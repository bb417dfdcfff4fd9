package target

import (
	"bytes"
	"errors"
	"io"
	"time"

	"share/tunnel"
	"share/tunnel/http1"
)

// maxInline bounds the request body that is written together with its head, by
// the goroutine that then reads the response: any socket takes as much without
// the peer reading.
const maxInline = 16 << 10

var errLines = errors.New("the request holds a control character where none may stand")

// compose writes the request's head into f.head (RFC 9112 3): the visitor's
// fields in their order, less those that end here, and those that frame the
// message made anew. Nothing else is added.
func (f *flight) compose() *tunnel.Failure {
	r := f.req
	f.upgrade, f.asked = nil, time.Time{}
	if r.Flags&tunnel.RequestUpgrade != 0 && r.ContentLength == 0 {
		f.upgrade = r.Header.Get("Upgrade")
	}
	b := http1.AppendRequestLine(f.head[:0], r.Method, r.Target)
	lines := 2
	if !r.Header.Has("Host") {
		b = f.appendHost(b, r.Authority)
		lines++
	}
	var hosted, sized, upgraded bool
	for _, field := range r.Header {
		switch kindOf(field.Name) {
		case fieldHost:
			if hosted {
				continue
			}
			hosted = true
			b = f.appendHost(b, field.Value)
		case fieldLength:
			if sized || r.ContentLength < 0 {
				continue
			}
			sized = true
			b = appendLength(b, field.Name, r.ContentLength)
		case fieldUpgrade:
			if upgraded || f.upgrade == nil {
				continue
			}
			upgraded = true
			b = append(b, "Connection: Upgrade\r\n"...)
			b = append(append(append(b, field.Name...), ": "...), f.upgrade...)
			b = append(b, "\r\n"...)
			lines++
		case fieldShare:
			if tunnel.EqualFold(field.Name, timingField) {
				f.asked = time.Now()
			}
			continue
		case fieldEnds:
			continue
		default:
			b = append(append(b, field.Name...), ": "...)
			b = append(append(b, field.Value...), "\r\n"...)
		}
		lines++
	}
	switch {
	case r.ContentLength < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
		lines++
	case r.ContentLength > 0 && !sized:
		b = appendLength(b, []byte("Content-Length"), r.ContentLength)
		lines++
	}
	b = append(b, "\r\n"...)
	f.head = b
	if !isRequestLine(r) || bytes.Count(b, []byte{'\n'}) != lines || bytes.Count(b, []byte{'\r'}) != lines ||
		bytes.IndexByte(b, 0) >= 0 {
		return f.t.fail(tunnel.RequestBad, errLines)
	}
	return nil
}

func (f *flight) appendHost(b, host []byte) []byte {
	b = append(b, "Host: "...)
	if own := *f.t.host.Load(); own != "" {
		b = append(b, own...)
	} else {
		b = append(b, host...)
	}
	return append(b, "\r\n"...)
}

// isRequestLine reports whether method and target make a request line of three
// parts. The relay has looked already; whoever it is, it shall not write two
// requests into one.
func isRequestLine(r *tunnel.Request) bool {
	for _, c := range r.Method {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	for _, c := range r.Target {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return len(r.Method) > 0 && len(r.Target) > 0
}

// gather appends to f.head what there already is of the request's body. f.sent
// is set if that is all of it.
func (f *flight) gather() error {
	r := f.req
	if r.ContentLength == 0 {
		f.sent = true
		return nil
	}
	limit := len(f.head) + maxInline
	for len(f.head) < limit && f.x.Buffered() {
		p, err := f.x.Data()
		if err == io.EOF {
			f.sent = true
			if r.ContentLength < 0 {
				f.head = http1.AppendLastChunk(f.head, f.trailers())
			}
			return nil
		}
		if err != nil {
			return err
		}
		if r.ContentLength < 0 {
			f.head = http1.AppendChunk(f.head, p)
		} else {
			f.head = append(f.head, p...)
		}
		f.taken += int64(len(p))
	}
	f.sent = f.taken == r.ContentLength
	return nil
}

// trailers are the request's, less those that may not go on.
func (f *flight) trailers() tunnel.Header {
	h := http1.ForwardTrailers(nil, f.x.Trailers())
	kept := h[:0]
	for _, field := range h {
		if !isShare(field.Name) && http1.ValidName(field.Name) && http1.ValidValue(field.Value) {
			kept = append(kept, field)
		}
	}
	return kept
}
