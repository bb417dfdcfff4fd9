package http1

import (
	"bytes"
	"io"

	"share/tunnel"
)

// gather takes bytes of a trailer section (RFC 9112 7.1.2) until its empty
// line, then parses it. It returns how many it took.
func (c *Chunked) gather(b []byte) (n int) {
	for n < len(b) {
		line := len(b)
		if i := bytes.IndexByte(b[n:], '\n'); i >= 0 {
			line = n + i + 1
		}
		if len(c.section)+line-n > MaxHead {
			c.trailersTooLarge("trailer section above 32 KiB")
			return n
		}
		c.section = append(c.section, b[n:line]...)
		n = line
		switch {
		case bytes.HasSuffix(c.section, emptyLine):
			c.parseTrailers()
			return n
		case b[n-1] == '\n' && !bytes.HasSuffix(c.section, emptyLine[:2]):
			c.fail("line end without CR in the trailers")
			return n
		}
	}
	return n
}

// parseTrailers reads the trailer section as strictly as a request's fields. A
// field that frames or routes a message may not stand in it (RFC 9110 6.5.1):
// whoever merged it into the head would read another message.
func (c *Chunked) parseTrailers() {
	for rest := c.section; ; {
		line, after, ok := cutLine(rest)
		if !ok {
			c.fail("line end without CR in the trailers")
			return
		}
		rest = after
		if len(line) == 0 {
			break
		}
		f, wrong := parseField(line)
		if wrong != "" {
			c.fail(wrong + " in the trailers")
			return
		}
		if k := lookup(f.Name); !c.response && !mayTrail(k) {
			c.fail("framing or routing field in the trailers")
			return
		}
		if len(c.trailers) == MaxFields {
			c.trailersTooLarge("more than 100 trailer fields")
			return
		}
		c.trailers = append(c.trailers, f)
	}
	c.state, c.err = chunkEnd, io.EOF
}

func (c *Chunked) trailersTooLarge(detail string) {
	if c.response {
		c.failAs(tunnel.TargetHeadTooLarge, detail)
		return
	}
	c.failAs(tunnel.RequestHeadTooLarge, detail)
}

// mayTrail reports whether a field may stand in trailers: it neither frames nor
// routes the message, nor ends at a hop.
func mayTrail(k known) bool {
	switch k {
	case fieldOther:
		return true
	}
	return false
}

// checkTrailer refuses a request's Trailer field (RFC 9110 6.6.2) that
// announces what may not stand in trailers.
func checkTrailer(list []byte) error {
	for len(list) > 0 {
		var name []byte
		if name, list = element(list); !mayTrail(lookup(name)) {
			return bad("Trailer announces a framing or routing field")
		}
	}
	return nil
}
