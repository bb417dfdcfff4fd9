package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"share/testdata/bench/delay"
	"share/testdata/bench/rig"
)

// impatience is how often a visitor asks again that has no answer yet.
const impatience = time.Millisecond

// startup is a trial: how long a visitor waits from an agent's exec until the
// first answer of its target, in trips of the link, or in ms if that is
// loopback itself.
func startup(trip time.Duration) func(context.Context, *field, *route) (figures, error) {
	return func(ctx context.Context, f *field, r *route) (figures, error) {
		f, err := f.apart()
		if err != nil {
			return nil, err
		}
		defer f.Close()
		d, _, err := f.relay(ctx)
		if err != nil {
			return nil, err
		}
		to, unit := d.link(r.name), time.Millisecond
		if trip > 0 {
			unit = trip
			if to.addr, err = f.line(delay.Config{OneWay: trip / 2}, to.addr); err != nil {
				return nil, err
			}
		}
		var all []float64
		for i := range f.plan.Tries + 1 {
			took, err := f.startOne(ctx, fmt.Sprintf("start-%d", i), d.http, to)
			if err != nil {
				return nil, err
			}
			if i > 0 { // the first makes the state folder
				all = append(all, float64(took)/float64(unit))
			}
		}
		return figures{"p50": quantile(all, 0.5), "worst": quantile(all, 1)}, nil
	}
}

// startOne starts an agent, waits for its first answer, and ends it.
func (f *field) startOne(ctx context.Context, name, web string, to link) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	v := newVisitor(endpoint{web, name + ".localhost"})
	defer v.close()
	if ok, err := v.ask(); err != nil {
		return 0, fmt.Errorf("ask before the agent's start: %w", err)
	} else if ok {
		return 0, fmt.Errorf("%s answers before the agent's start", name)
	}
	began := time.Now()
	p, err := rig.Start(f.bin, []string{"SHARE_STATE_DIR=" + filepath.Join(f.dir, "state")},
		append([]string{"http"}, f.agentArgs(name, to, f.target)...)...)
	if err != nil {
		return 0, err
	}
	defer p.Kill()
	if err := v.await(ctx); err != nil {
		return 0, fmt.Errorf("%w\n%s", err, p.Log())
	}
	return time.Since(began), nil
}

// restart is a trial: how long a visitor waits for an answer after a relay
// that was killed listens again.
func restart(ctx context.Context, f *field, r *route) (figures, error) {
	f, err := f.apart()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	d, relay, err := f.relay(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := f.agent(ctx, "web", d.link(r.name), f.target); err != nil {
		return nil, err
	}
	var all []float64
	for i := range f.plan.Tries {
		// A session that lives for a second counts as one that held.
		if err := pause(ctx, 1100*time.Millisecond); err != nil {
			return nil, err
		}
		relay.Kill()
		// The agent tries in steps of its own: do not always meet the same.
		if err := pause(ctx, time.Duration(i)*37*time.Millisecond); err != nil {
			return nil, err
		}
		if relay, err = f.relayAt(ctx, d); err != nil {
			return nil, err
		}
		took, err := awaitBack(ctx, endpoint{d.http, "web.localhost"})
		if err != nil {
			return nil, fmt.Errorf("%w\n%s", err, relay.Log())
		}
		all = append(all, took.Seconds())
	}
	return figures{"p50": quantile(all, 0.5), "worst": quantile(all, 1)}, nil
}

// awaitBack returns how long it takes from the first connection to the first
// answer of the target.
func awaitBack(ctx context.Context, to endpoint) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		conn, err := net.Dial("tcp", to.addr)
		if err == nil {
			began := time.Now()
			conn.Close()
			v := newVisitor(to)
			defer v.close()
			err := v.await(ctx)
			return time.Since(began), err
		}
		if err := pause(ctx, impatience); err != nil {
			return 0, fmt.Errorf("the relay does not listen again: %w", err)
		}
	}
}

// visitor asks again and again over a connection that it keeps.
type visitor struct {
	to   endpoint
	conn net.Conn // nil if there is none
	in   *bufio.Reader
}

func newVisitor(to endpoint) *visitor { return &visitor{to: to, in: bufio.NewReader(nil)} }

// await asks until the target answers.
func (v *visitor) await(ctx context.Context) error {
	last := error(nil)
	for {
		ok, err := v.ask()
		if ok {
			return nil
		}
		if err != nil {
			last = err
		}
		if pause(ctx, impatience) != nil {
			return fmt.Errorf("no answer of %s came: %w (%v)", v.to.host, ctx.Err(), last)
		}
	}
}

// ask sends one request and reports whether the target answered it. After an
// error the next one connects anew.
func (v *visitor) ask() (ok bool, err error) {
	defer func() {
		if err != nil {
			v.close()
		}
	}()
	if v.conn == nil {
		if v.conn, err = net.DialTimeout("tcp", v.to.addr, 10*time.Second); err != nil {
			v.conn = nil
			return false, err
		}
		v.in.Reset(v.conn)
	}
	if err := v.conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return false, err
	}
	if _, err := io.WriteString(v.conn, "GET / HTTP/1.1\r\nHost: "+v.to.host+"\r\n\r\n"); err != nil {
		return false, err
	}
	resp, err := http.ReadResponse(v.in, nil)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return false, err
	}
	if resp.Close {
		v.close()
	}
	return resp.StatusCode == http.StatusOK, nil
}

func (v *visitor) close() {
	if v.conn != nil {
		v.conn.Close()
		v.conn = nil
	}
}
