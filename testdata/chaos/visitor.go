//go:build unix

package chaos

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// exchangeTime bounds one exchange: a frozen agent is found in 25 s at most.
const exchangeTime = 35 * time.Second

// Visitor sends one request after another over a connection of its own. It
// never repeats a request: what fails, failed. Not for concurrent use.
type Visitor struct {
	Addr string // the relay's
	Host string // the tunnel's
	conn net.Conn
	in   *bufio.Reader
}

// Do carries out a plan and says how it ended.
func (v *Visitor) Do(ctx context.Context, p Plan) Exchange {
	e := Exchange{Plan: p, Start: time.Now()}
	e.Outcome, e.Cause, e.Detail = v.try(ctx, p)
	e.End = time.Now()
	if e.Outcome != Whole || p.Close {
		v.Close()
	}
	return e
}

// Close ends the visitor's connection, if there is one.
func (v *Visitor) Close() {
	if v.conn != nil {
		v.conn.Close()
		v.conn = nil
	}
}

func (v *Visitor) try(ctx context.Context, p Plan) (o Outcome, cause, detail string) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	if v.conn == nil {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", v.Addr)
		if err != nil {
			return failed(Lost, err)
		}
		v.conn, v.in = conn, bufio.NewReader(conn)
	}
	conn := v.conn
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return failed(Lost, err)
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	// The answer may come before the request has gone: write beside reading.
	sent := make(chan error, 1)
	go func() { sent <- v.request(ctx, conn, p) }()
	if p.Leave {
		if err := <-sent; err != nil {
			return failed(Lost, err)
		}
		if p.ID%2 == 0 {
			abort(conn)
		}
		return Left, "", ""
	}
	o, cause, detail = v.answer(p)
	if o != Whole {
		conn.SetDeadline(time.Unix(1, 0)) // nobody waits for the rest
	}
	if err := <-sent; err != nil && o == Whole {
		return Wrong, "", "a success while the request was still being sent: " + err.Error()
	}
	return o, cause, detail
}

// failed names an outcome's error; a deadline that passed makes it Hung.
func failed(o Outcome, err error) (Outcome, string, string) {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		o = Hung
	}
	return o, "", err.Error()
}

// request sends the plan's request: half of it if the visitor is to leave.
func (v *Visitor) request(ctx context.Context, conn net.Conn, p Plan) error {
	w := bufio.NewWriter(conn)
	fmt.Fprintf(w, "%s %s HTTP/1.%d\r\nHost: %s\r\n", p.Method, p.Target(), p.Minor, v.Host)
	if p.Close {
		io.WriteString(w, "Connection: close\r\n")
	}
	if p.Method != http.MethodPost {
		io.WriteString(w, "\r\n")
		return w.Flush()
	}
	if p.Frame == Chunked {
		io.WriteString(w, "Transfer-Encoding: chunked\r\n\r\n")
	} else {
		fmt.Fprintf(w, "Content-Length: %d\r\n\r\n", p.Size)
	}
	if p.Leave {
		if err := v.body(w, p, io.LimitReader(p.Body(), p.Size/2)); err != nil {
			return err
		}
		return w.Flush()
	}
	body := p.Body()
	if p.Pause > 0 {
		if err := v.body(w, p, io.LimitReader(body, p.Size/2)); err != nil {
			return err
		}
		if err := w.Flush(); err != nil {
			return err
		}
		pause(ctx, p.Pause)
	}
	if err := v.body(w, p, body); err != nil {
		return err
	}
	if p.Frame == Chunked {
		io.WriteString(w, "0\r\n\r\n")
	}
	return w.Flush()
}

// body writes r as the plan frames it, without the last chunk.
func (v *Visitor) body(w *bufio.Writer, p Plan, r io.Reader) error {
	if p.Frame != Chunked {
		_, err := io.Copy(w, r)
		return err
	}
	buf := make([]byte, 8<<10)
	for {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			fmt.Fprintf(w, "%x\r\n", n)
			w.Write(buf[:n])
			io.WriteString(w, "\r\n")
		}
		if err != nil {
			return w.Flush()
		}
	}
}

// answer reads the response and judges it.
func (v *Visitor) answer(p Plan) (Outcome, string, string) {
	resp, err := http.ReadResponse(v.in, &http.Request{Method: p.Method})
	for err == nil && resp.StatusCode < 200 {
		resp, err = http.ReadResponse(v.in, &http.Request{Method: p.Method})
	}
	if err != nil {
		return failed(Lost, err)
	}
	defer resp.Body.Close()
	if resp.Close {
		defer v.Close()
	}
	if resp.StatusCode != http.StatusOK {
		return refused(resp)
	}
	if resp.Header.Get("Share-Error") != "" {
		return Wrong, "", "200 with Share-Error"
	}
	if got := resp.Header.Get("X-Exchange"); got != strconv.Itoa(p.ID) {
		return Wrong, "", fmt.Sprintf("200 of exchange %q", got)
	}
	switch p.Method {
	case http.MethodHead:
		if p.Frame == Length && resp.ContentLength != p.Size {
			return Wrong, "", fmt.Sprintf("HEAD said %d bytes, not %d", resp.ContentLength, p.Size)
		}
		return Whole, "", ""
	case http.MethodPost:
		return v.compare(resp.Body, strings.NewReader(p.Digest()))
	default:
		return v.compare(resp.Body, p.Body())
	}
}

// refused judges an answer that is not the target's: it must say why.
func refused(resp *http.Response) (Outcome, string, string) {
	cause := resp.Header.Get("Share-Error")
	status := resp.Header.Get("Proxy-Status")
	switch {
	case resp.StatusCode < 400:
		return Wrong, "", "status " + resp.Status
	case cause == "" || !strings.Contains(status, "error="):
		return Nameless, "", fmt.Sprintf("%s with Share-Error %q, Proxy-Status %q", resp.Status, cause, status)
	}
	return Refused, cause, resp.Status
}

// compare reads got to its end beside want.
func (v *Visitor) compare(got, want io.Reader) (Outcome, string, string) {
	a, b := make([]byte, 16<<10), make([]byte, 16<<10)
	for at := int64(0); ; {
		n, err := got.Read(a)
		m, _ := io.ReadFull(want, b[:n])
		if !bytes.Equal(a[:n], b[:m]) {
			return Wrong, "", fmt.Sprintf("other bytes from %d on", at)
		}
		at += int64(n)
		if err == io.EOF {
			if m, _ := want.Read(b); m > 0 {
				return Wrong, "", fmt.Sprintf("a clean end after %d bytes", at)
			}
			return Whole, "", ""
		}
		if err != nil {
			return failed(Cut, err)
		}
	}
}
