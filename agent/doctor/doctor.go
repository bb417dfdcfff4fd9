// Package doctor looks at what an agent needs, from where it is to run: its
// configuration, the way to its relay, and its target. It says what is wrong, and
// what cures it. No secret is in what it says.
package doctor

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"share/agent"
	"share/agent/target"
	"share/tunnel/cmdline"
)

// A Doctor is what an agent is to be, and how to look at it. Run starts it, once.
type Doctor struct {
	// Agent is the agent's configuration, without what lets it in and without a
	// target.
	Agent agent.Config

	// Relays are the relays that the user names. If empty, the agent has one in
	// its own process.
	Relays []agent.RelayURL

	// EnvToken is the token of SHARE_TOKEN, and TokenFile names a file that has
	// one, both empty if there is none.
	EnvToken, TokenFile string

	// Logins are the tokens that share login has kept, each for one relay, and
	// LoginsErr is why they cannot be had. They do where there is no other.
	Logins    map[agent.RelayURL]string
	LoginsErr error

	// Target is the target to look at. If zero, there is none.
	Target target.Address

	// InsecureTarget accepts any certificate of the target.
	InsecureTarget bool

	// Inside listens as the relay in the process would, and stops again. note is
	// what the user has to know of it.
	Inside func() (note string, err error)

	// Machine is the machine; Local has its own.
	Machine Machine
}

// A Machine is what a Doctor uses of a machine.
type Machine struct {
	Lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	Getenv func(string) string
	Now    func() time.Time
}

// Local returns this machine, with its environment.
func Local(getenv func(string) string) Machine {
	return Machine{
		Lookup: net.DefaultResolver.LookupNetIP,
		Dial:   new(net.Dialer).DialContext,
		Getenv: getenv,
		Now:    time.Now,
	}
}

// timeout bounds each thing that is waited for.
const timeout = 5 * time.Second

// Run makes all checks and returns what they have found, in the order in which one
// rests upon the others.
func (d *Doctor) Run(ctx context.Context) []cmdline.Result {
	all := []cmdline.Result{d.checkState(), d.checkToken(), d.checkVariables()}
	var target []cmdline.Result
	var wg sync.WaitGroup
	wg.Go(func() { target = d.checkTarget(ctx) })
	if len(d.Relays) == 0 {
		all = append(all, d.checkInside())
	}
	for _, relay := range d.Relays { // one after the other: they are measured
		results := newWay(d, relay).run(ctx)
		for _, r := range results {
			if len(d.Relays) > 1 {
				r.Check += cmdline.Check(" of " + relay.String())
			}
			all = append(all, r)
		}
	}
	wg.Wait()
	return append(all, target...)
}

// far reports whether a relay is not on this machine, and share login has kept
// nothing for it.
func (d *Doctor) far() bool {
	return slices.ContainsFunc(d.Relays, func(r agent.RelayURL) bool { return !r.Loopback() && d.Logins[r] == "" })
}

// checkInside looks at the relay in the agent's own process, as there is no other.
func (d *Doctor) checkInside() cmdline.Result {
	const check cmdline.Check = "relay"
	const none = "none is named, so share http runs one in its own process: its URLs are for this machine alone, and want no token"
	note, err := d.Inside()
	switch {
	case err != nil:
		return check.Failed("see what keeps programs from listening on loopback, or name a relay with --relay", "%s; but %v", none, err)
	case note != "":
		return check.Warning("end what listens there, or name a relay with --relay", "%s; but %s", none, note)
	}
	return check.OK("%s; --relay or SHARE_RELAY names one for the world", none)
}
