//go:build unix

package chaos

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"share/testdata/bench/rig"
)

// name is the tunnel's.
const name = "chaos"

// targetEnv tells this program to be the target; its value is address and
// ledger, one space between them.
const targetEnv = "CHAOS_TARGET"

// process is what faults are done to.
type process interface{ Signal(os.Signal) }

// World is a target, an agent, a relay and the link between these two, each
// of which can be broken and mended alone. Close ends it all.
type World struct {
	bin, dir string
	addr     string // the target's
	relayAt  string // the relay's address
	link     *Link
	stop     context.CancelFunc // ends the link
	carrying sync.WaitGroup

	target *rig.Process
	agent  *rig.Agent
	relay  *rig.Relay
}

// NewWorld starts everything; files are kept in dir.
func NewWorld(ctx context.Context, bin, dir string) (*World, error) {
	w := &World{bin: bin, dir: dir, stop: func() {}}
	if err := w.open(ctx); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

func (w *World) open(ctx context.Context) (err error) {
	if w.addr, err = rig.FreeAddr(); err != nil {
		return err
	}
	if w.relayAt, err = rig.FreeAddr(); err != nil {
		return err
	}
	if w.link, err = NewLink(w.relayAt); err != nil {
		return err
	}
	carry, stop := context.WithCancel(context.WithoutCancel(ctx))
	w.stop = stop
	w.carrying.Go(func() { _ = w.link.Serve(carry) }) // nothing but its end, in Close
	for _, start := range []func(context.Context) error{w.startTarget, w.startRelay, w.startAgent} {
		if err := start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Close ends all processes and the link.
func (w *World) Close() {
	if w.agent != nil {
		w.agent.Kill()
	}
	if w.relay != nil {
		w.relay.Kill()
	}
	if w.target != nil {
		w.target.Kill()
	}
	w.stop()
	w.carrying.Wait()
}

// Ledger is the path of the target's.
func (w *World) Ledger() string { return filepath.Join(w.dir, "target.ledger") }

func (w *World) startTarget(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	w.target, err = rig.Start(self, []string{targetEnv + "=" + w.addr + " " + w.Ledger()})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, recoverTime)
	defer cancel()
	for {
		if conn, err := net.Dial("tcp", w.addr); err == nil {
			return conn.Close()
		}
		if ctx.Err() != nil {
			return fmt.Errorf("target does not listen: %w\n%s", ctx.Err(), w.target.Log())
		}
		pause(ctx, 5*time.Millisecond)
	}
}

func (w *World) startRelay(ctx context.Context) (err error) {
	w.relay, err = rig.StartRelay(ctx, w.bin, "--http", w.relayAt)
	return err
}

func (w *World) startAgent(ctx context.Context) (err error) {
	w.agent, err = rig.StartAgent(ctx, w.bin, filepath.Join(w.dir, "state"),
		"http://"+w.addr, "--relay", "http://"+w.link.Addr(), "--name", name)
	return err
}

// Logs is the last of what relay, agent and target wrote.
func (w *World) Logs() string {
	var b strings.Builder
	if w.relay != nil {
		fmt.Fprintf(&b, "relay:\n%s\n", w.relay.Log())
	}
	if w.agent != nil {
		fmt.Fprintf(&b, "agent:\n%s\n", w.agent.Log())
	}
	if w.target != nil {
		fmt.Fprintf(&b, "target:\n%s\n", w.target.Log())
	}
	return b.String()
}
