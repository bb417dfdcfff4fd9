package handover

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Path is where a relay is asked, by a POST, to change to this protocol.
const Path = "/v1/replacement"

// protocol is what an Upgrade field calls it (RFC 9110 7.8).
const protocol = "share-handover"

// Ask connects to the relay whose operators' commands come in at a socket, and
// changes to this protocol. The error may be ErrNoRelay, ErrTooOld, ErrEnding or
// ErrUnsupported; a *FailedError is the relay's refusal.
func Ask(ctx context.Context, socket string) (*Conn, error) {
	if runtime.GOOS == "windows" {
		return nil, ErrUnsupported
	}
	var d net.Dialer
	nc, err := d.DialContext(ctx, "unix", socket)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, ErrNoRelay
	}
	if err != nil {
		return nil, err
	}
	c := &Conn{unix: nc.(*net.UnixConn)}
	if err := c.ask(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// ask changes to the protocol. Nothing is read but by read: descriptors would be
// lost.
func (c *Conn) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, Patience, fmt.Errorf("the relay did not answer within %v", Patience))
	defer cancel()
	done := c.until(ctx)
	_, err := io.WriteString(c.unix, "POST "+Path+" HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: "+protocol+"\r\nContent-Length: 0\r\n\r\n")
	done()
	if err != nil {
		return c.explain(ctx, err)
	}
	var head []byte
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		line, err := c.line(ctx)
		if err != nil {
			return c.explain(ctx, err)
		}
		if head = append(append(head, line...), '\n'); len(head) > maxMessage {
			return errors.New("the relay's answer does not end")
		}
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), &http.Request{Method: "HEAD"})
	if err != nil {
		return fmt.Errorf("the relay's answer: %w", err)
	}
	switch {
	case resp.StatusCode == http.StatusSwitchingProtocols && resp.Header.Get("Upgrade") == protocol:
		return nil
	case resp.StatusCode == http.StatusNotFound, resp.StatusCode == http.StatusMethodNotAllowed:
		return ErrTooOld
	case resp.StatusCode == http.StatusServiceUnavailable:
		return ErrEnding
	}
	return &FailedError{c.detail(ctx, resp)}
}

// detail is what the relay says of why it refuses.
func (c *Conn) detail(ctx context.Context, resp *http.Response) string {
	var p struct{ Detail string }
	line, err := c.line(ctx)
	if err != nil || json.Unmarshal(line, &p) != nil || p.Detail == "" {
		return resp.Status
	}
	return p.Detail
}

// Asks reports whether a request is Ask's.
func Asks(req *http.Request) bool {
	return strings.EqualFold(req.Header.Get("Upgrade"), protocol)
}

// Accept changes a request's connection to this protocol. Asks has said that this
// is wanted.
func Accept(w http.ResponseWriter) (*Conn, error) {
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	uc, ok := nc.(*net.UnixConn)
	if !ok || rw.Reader.Buffered() > 0 {
		nc.Close()
		return nil, errors.New("what asks to replace the relay does not come by a unix socket, or does not wait for the answer")
	}
	err = uc.SetDeadline(time.Time{})
	if err == nil {
		_, err = io.WriteString(uc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+protocol+"\r\n\r\n")
	}
	if err != nil {
		uc.Close()
		return nil, err
	}
	return &Conn{unix: uc}, nil
}
