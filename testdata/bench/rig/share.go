package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// startTime bounds how long a relay or an agent may take to be ready.
const startTime = 15 * time.Second

// Relay is a running `share relay`.
type Relay struct {
	*Process
	Doors map[string]string // address by door: http, https, agents, admin
}

// StartRelay runs `share relay` with args and returns once every door that
// args open listens.
func StartRelay(ctx context.Context, bin string, args ...string) (*Relay, error) {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	args = append([]string{"relay", "--log-format", "json"}, args...)
	p, err := Start(bin, nil, args...)
	if err != nil {
		return nil, err
	}
	want := doors(args)
	r := &Relay{Process: p, Doors: map[string]string{}}
	err = p.await(ctx, p.errout, func(line []byte) bool {
		var entry struct{ Msg, Door, Addr string }
		if json.Unmarshal(line, &entry) == nil && entry.Msg == "listening" {
			r.Doors[entry.Door] = entry.Addr
		}
		return len(r.Doors) == want
	})
	if err != nil {
		p.Kill()
		return nil, err
	}
	return r, nil
}

// doors counts the flags of args that open a door.
func doors(args []string) int {
	n, beside := 0, 0
	for _, arg := range args {
		name, _, _ := strings.Cut(arg, "=")
		switch name {
		case "--http", "--https", "--agents":
			n++
		case "--admin":
			beside++
		}
	}
	return max(n, 1) + beside
}

// Agent is a running `share http`.
type Agent struct {
	*Process
	URL      string // the visitors' URL
	Verified bool   // a request has come back through it
}

// StartAgent runs `share http` with args, its state kept in the folder state,
// and returns once it is ready. With --quiet among args it says nothing of its
// requests, and nothing is known of Verified.
func StartAgent(ctx context.Context, bin, state string, args ...string) (*Agent, error) {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	quiet := slices.Contains(args, "--quiet")
	if args = append([]string{"http"}, args...); !quiet {
		args = append(args, "--json")
	}
	p, err := Start(bin, []string{"SHARE_STATE_DIR=" + state}, args...)
	if err != nil {
		return nil, err
	}
	a := &Agent{Process: p}
	err = p.await(ctx, p.out, func(line []byte) bool {
		if quiet {
			a.URL = string(line)
			return true
		}
		var event struct {
			Event, URL string
			Verified   bool
		}
		if json.Unmarshal(line, &event) != nil || event.Event != "ready" {
			return false
		}
		a.URL, a.Verified = event.URL, event.Verified
		return true
	})
	if err != nil {
		p.Kill()
		return nil, fmt.Errorf("agent: %w", err)
	}
	return a, nil
}
