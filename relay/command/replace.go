package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"

	"share/relay"
	"share/relay/handover"
	"share/tunnel/cmdline"
)

// goesOn is the hint for what keeps this process from taking a relay's place.
const goesOn = "the relay that runs goes on"

// precede asks the relay that runs with the data folder to give way, if --replace
// says so. That none runs is no error: it has ended, or is about to start for
// the first time.
func (r *serving) precede(ctx context.Context) error {
	if !r.replace {
		return nil
	}
	dir := cmp.Or(r.data, r.process.dataDir())
	if dir == "" {
		return cmdline.Usage("name its folder with --data", "there is no state folder of a relay to replace")
	}
	before, err := relay.Precede(ctx, dir, r.addresses.Sockets)
	switch {
	case errors.Is(err, handover.ErrNoRelay):
		r.relay.Logger.Info("no relay runs that could be replaced", "data", dir)
		return nil
	case errors.Is(err, handover.ErrTooOld), errors.Is(err, handover.ErrUnsupported):
		return cmdline.Failed("stop it, and start this one without --replace", err)
	case errors.Is(err, handover.ErrEnding):
		return cmdline.Failed("start this one in a moment", err)
	case errors.Is(err, fs.ErrPermission):
		return cmdline.Failed("run this as the relay's user", err)
	case err != nil:
		return cmdline.Failed(goesOn, err)
	}
	r.before, r.data, r.relay.Before = before, dir, before
	return nil
}

// replacedBy notes that another process is the relay, and tells systemd.
func (r *serving) replacedBy(pid int) {
	r.successor.Store(int64(pid))
	r.notify(fmt.Sprintf("MAINPID=%d", pid))
}

// A renewal is what signals ask of a relay that runs.
type renewal struct {
	*serving
	relay     *relay.Relay
	upgrading atomic.Bool
}

// reload reads files anew. One that cannot be used changes nothing.
func (n *renewal) reload() {
	defer n.notifyReloading()()
	if n.tokenFile != "" && n.process.Token(n.tokenFile) == "" {
		tokens, err := n.tokens()
		if err != nil {
			n.serving.relay.Logger.Error("the token file was not reloaded", "error", err.Error())
		} else {
			n.relay.SetTokens(tokens)
		}
	}
	for _, shown := range []relay.Certificates{n.addresses.Certificate, n.remote.Certificate} {
		if c, ok := shown.(*relay.Certificate); ok { // one that a CA gave follows no files of the operator's
			if err := c.Reload(); err != nil {
				n.serving.relay.Logger.Error("the certificate was not reloaded", "error", err.Error())
			}
		}
	}
	n.serving.relay.Logger.Info("reloaded")
}

// upgrade runs the program anew, to take the place of this process. It returns
// when that one has ended: at once, if it cannot, and else long after this one.
func (n *renewal) upgrade() {
	log := n.serving.relay.Logger
	if !n.upgrading.CompareAndSwap(false, true) {
		log.Warn("not upgraded: another process is about to take the relay's place already")
		return
	}
	defer n.upgrading.Store(false)
	if n.data == "" {
		log.Error("not upgraded: the relay has no data folder to hand over", "hint", "name one with --data")
		return
	}
	cmd := n.process.Again("--replace")
	if err := cmd.Start(); err != nil {
		log.Error("not upgraded: the program cannot be started", "error", err.Error())
		return
	}
	log.Info("upgrading", "pid", cmd.Process.Pid, "program", cmd.Path)
	err := cmd.Wait()
	if n.successor.Load() == int64(cmd.Process.Pid) {
		return // it took the relay's place, and has ended in its time
	}
	reason := "it ended without an error"
	if err != nil {
		reason = err.Error()
	}
	log.Error("the process that was to take the relay's place has ended", "pid", cmd.Process.Pid, "reason", reason)
}
