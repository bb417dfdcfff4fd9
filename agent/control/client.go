package control

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"
)

// stopMargin is what an agent's end may take beyond its grace.
const stopMargin = 20 * time.Second

// An Agent is one that runs, as those who ask it see it.
type Agent struct {
	PID    int
	Status *Status // nil if it does not answer

	socket string
	http   http.Client
}

// Agents asks all agents of the user at once, and returns them in the order of their
// start; those that do not answer come last. What dead ones have left is removed.
func (p Places) Agents(ctx context.Context) ([]*Agent, error) {
	sockets, err := p.sockets()
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var agents []*Agent // guarded by mu
	var wg sync.WaitGroup
	for socket, pid := range sockets {
		wg.Go(func() {
			a := newAgent(socket, pid)
			if err := a.ask(ctx); errors.Is(err, ErrGone) {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			agents = append(agents, a)
		})
	}
	wg.Wait()
	slices.SortFunc(agents, func(a, b *Agent) int {
		switch {
		case a.Status == nil && b.Status == nil:
			return cmp.Compare(a.PID, b.PID)
		case a.Status == nil:
			return 1
		case b.Status == nil:
			return -1
		}
		return cmp.Or(a.Status.Started.Compare(b.Status.Started), cmp.Compare(a.PID, b.PID))
	})
	return agents, ctx.Err()
}

// Names returns the names of the tunnels that agents have, each once, for a shell
// that completes them. What cannot be known has none.
func (p Places) Names(ctx context.Context) (names []string) {
	agents, _ := p.Agents(ctx)
	for _, a := range agents {
		if a.Status == nil {
			continue
		}
		for _, t := range a.Status.All() {
			if t.Name != "" {
				names = append(names, t.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func newAgent(socket string, pid int) *Agent {
	a := &Agent{PID: pid, socket: socket}
	var d net.Dialer
	a.http.Transport = &http.Transport{
		DisableKeepAlives:     true,
		ResponseHeaderTimeout: answerTimeout,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, answerTimeout) // a queue may be full
			defer cancel()
			conn, err := d.DialContext(ctx, "unix", socket)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil, ErrGone
			case isNobody(err):
				os.Remove(socket) // the next agent has another
				return nil, ErrGone
			}
			return conn, err
		},
	}
	return a
}

// ask learns the agent's Status. The error is ErrGone, or else the agent is there and
// does not answer.
func (a *Agent) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	resp, err := a.send(ctx, "GET", "/v1/agent")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	a.Status, err = readStatus(resp.Body)
	return err
}

// Stop has the agent stop, and waits until it has: for its grace, and a bit. The
// error is ErrGone if it has ended before, ErrSilent if it does not answer.
func (a *Agent) Stop(ctx context.Context) (stopped Stopped, err error) {
	patience := stopMargin
	if a.Status != nil {
		patience += time.Duration(min(max(a.Status.GraceMS, 0), maxGrace.Milliseconds())) * time.Millisecond
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("it has not ended within %v", patience))
	defer cancel()
	resp, err := a.send(ctx, "POST", "/v1/stop")
	if err != nil {
		return stopped, err
	}
	defer resp.Body.Close()
	err = json.NewDecoder(io.LimitReader(resp.Body, maxStatus)).Decode(&stopped)
	switch {
	case ctx.Err() != nil:
		return stopped, context.Cause(ctx)
	case err == nil:
		return stopped, nil
	}
	_, syntax := errors.AsType[*json.SyntaxError](err)
	_, other := errors.AsType[*json.UnmarshalTypeError](err)
	if syntax || other {
		return Stopped{}, fmt.Errorf("the answer does not say how it has ended: %w", err)
	}
	return stopped, ErrGone // killed, or its time to answer was up
}

// maxGrace bounds how long a grace is waited for.
const maxGrace = 24 * time.Hour

// Log copies the agent's last events to w, a line each, as JSON or as logs; with
// follow those that come as well, until the agent or ctx ends.
func (a *Agent) Log(ctx context.Context, w io.Writer, asJSON, follow bool) error {
	query := url.Values{}
	if asJSON {
		query.Set("form", "json")
	}
	if follow {
		query.Set("follow", "1")
	}
	resp, err := a.send(ctx, "GET", "/v1/log?"+query.Encode())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(w, resp.Body)
	switch {
	case ctx.Err() != nil:
		return nil // who asked has seen enough
	case errors.Is(err, io.ErrUnexpectedEOF):
		return ErrGone
	}
	return err
}

// send sends a request and returns the answer, whose body the caller closes.
func (a *Agent) send(ctx context.Context, method, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := a.http.Do(req)
	switch {
	case errors.Is(err, ErrGone):
		return nil, ErrGone
	case errors.Is(err, fs.ErrPermission):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrSilent, err)
	case resp.StatusCode != http.StatusOK:
		resp.Body.Close()
		return nil, fmt.Errorf("it answers %s", resp.Status)
	}
	return resp, nil
}
