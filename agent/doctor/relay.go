package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"share/tunnel"
	"share/tunnel/cmdline"
)

const (
	// trips is how many round trips are measured, and tripTimeout bounds each.
	trips       = 20
	tripTimeout = 2 * time.Second

	// sessionTimeout bounds the opening of a session, by all ways.
	sessionTimeout = 10 * time.Second

	// maxDrift is by how much clocks may differ: what identity tokens are
	// allowed.
	maxDrift = time.Minute
)

// A meeting is what came of a session with the relay.
type meeting struct {
	session      *tunnel.Session
	via, warning string
	err          error
}

// checkRelay speaks with the relay, whose address connects.
func (w *way) checkRelay(ctx context.Context) []cmdline.Result {
	var (
		wg        sync.WaitGroup
		clock     cmdline.Result
		socketErr error
		m         meeting
	)
	wg.Go(func() { clock = w.checkClock(ctx) })
	wg.Go(func() { socketErr = w.openSocket(ctx) })
	wg.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, sessionTimeout)
		defer cancel()
		m.session, m.via, m.warning, m.err = w.look.Session(ctx)
	})
	wg.Wait()
	results := []cmdline.Result{w.judgeSocket(socketErr, m), clock, w.judgeProtocol(m), w.judgeSession(m)}
	if m.err != nil {
		return results
	}
	results = append(results, w.checkTrips(ctx, m.session))
	return append(results, w.checkTunnel(ctx)...)
}

// openSocket opens a WebSocket to the relay.
func (w *way) openSocket(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := w.look.Socket(ctx)
	if err != nil {
		return err
	}
	return conn.Close()
}

func (w *way) judgeSocket(err error, m meeting) cmdline.Result {
	const check cmdline.Check = "websocket"
	at := w.relay.String() + tunnel.ConnectPath
	if err == nil {
		return check.OK("%s opens one, for where only HTTP passes", at)
	}
	e := w.look.Explain(err)
	if m.err == nil {
		return check.Warning("have whatever stands before the relay pass upgrades of "+tunnel.ConnectPath, "%s opens none, and the relay is reached without: %s", at, e.Message)
	}
	return check.Failed(e.Hint, "%s opens none: %s", at, e.Message)
}

// checkClock compares the clock with the Date of whoever answers at the relay's
// address. No certificate is believed, or doubted, on the way: a clock that is
// wrong would be in the way of that.
func (w *way) checkClock(ctx context.Context) cmdline.Result {
	const check cmdline.Check = "clock"
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	transport := &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return w.look.Connect(ctx) },
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, ServerName: w.relay.Host},
		DisableKeepAlives: true,
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, w.relay.String(), nil)
	if err != nil {
		return check.Skipped("%s cannot be asked for the time", w.relay)
	}
	began := w.Machine.Now()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return check.Skipped("%s does not tell the time: %v", w.relay, plain(err))
	}
	resp.Body.Close()
	now := w.Machine.Now()
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return check.Skipped("%s answers without a Date", w.relay)
	}
	// A Date has no fraction of a second.
	drift := began.Add(now.Sub(began) / 2).Sub(date.Add(time.Second / 2)).Abs()
	if drift > maxDrift {
		return check.Failed("set the clock: run an NTP client, such as systemd-timesyncd or chrony",
			"it differs by %v from the Date that %s answers", drift.Round(time.Second), w.relay)
	}
	return check.OK("it differs by %v at most from the Date that %s answers", (drift + time.Second/2).Round(time.Second), w.relay)
}

// plain is an error without the request that package http puts before it.
func plain(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

func (w *way) judgeProtocol(m meeting) cmdline.Result {
	const check cmdline.Check = "protocol"
	r, refused := errors.AsType[*tunnel.RejectError](m.err)
	switch {
	case m.err == nil:
		return check.OK("agent and relay speak version %d", m.session.Welcome.Version)
	case refused && r.Code == tunnel.RejectVersion:
		return check.Failed(w.look.Explain(m.err).Hint, "%s", r.Message)
	case refused:
		return check.OK("agent and relay speak version %d", tunnel.Version)
	}
	return check.Skipped("no relay has answered")
}

func (w *way) judgeSession(m meeting) cmdline.Result {
	const check cmdline.Check = "session"
	if m.err != nil {
		e := w.look.Explain(m.err)
		if w.cfg.Token == "" && w.cfg.Identity == nil && !w.relay.Loopback() && e.Code == cmdline.ExitToken {
			return check.Skipped("there is no token to show")
		}
		return check.Failed(e.Hint, "%s", e.Message)
	}
	text := "the relay lets this agent in"
	if account := m.session.Welcome.Account; account != "" {
		text += " as " + account
	}
	switch {
	case m.warning != "":
		return check.Warning("have what stands between pass "+tunnel.ALPN+" to "+w.relay.String()+", if that is not a front of the relay's own", "%s; %s", text, m.warning)
	case m.via != "":
		text += ", through " + m.via
	}
	return check.OK("%s", text)
}

// checkTrips measures round trips on a session, which it ends.
func (w *way) checkTrips(ctx context.Context, s *tunnel.Session) cmdline.Result {
	const check cmdline.Check = "round trips"
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wg.Go(func() {
		// It ends with ctx. Without a name there is nobody to ask for anything.
		_ = s.Serve(ctx, func(x *tunnel.Exchange) { x.Abort(tunnel.Fail(tunnel.Draining, context.Canceled)) })
	})
	var all []time.Duration
	for range trips {
		began := time.Now()
		err := func() error {
			ctx, cancel := context.WithTimeout(ctx, tripTimeout)
			defer cancel()
			return s.Ping(ctx)
		}()
		if err != nil {
			return check.Failed("see what the network does with connections that stay open: a firewall may drop them", "the relay has answered %d of %d: %s", len(all), len(all)+1, w.look.Explain(err).Message)
		}
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	return check.OK("median %v, worst %v of %d", short(all[trips/2]), short(all[trips-1]), trips)
}

// rate is bytes in a time as people say it.
func rate(n int64, d time.Duration) string {
	return fmt.Sprintf("%.3g MB/s", float64(n)/1e6/d.Seconds())
}
