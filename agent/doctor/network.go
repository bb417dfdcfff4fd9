package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"share/agent"
	"share/tunnel/cmdline"
)

// A way is that to one relay.
type way struct {
	*Doctor
	cfg   agent.Config
	relay agent.RelayURL
	look  *agent.Scout
	proxy *url.URL // nil if none is to be used
}

func newWay(d *Doctor, relay agent.RelayURL) *way {
	w := &way{Doctor: d, cfg: d.Agent, relay: relay}
	if login := d.Logins[relay]; w.cfg.Token == "" && login != "" {
		w.cfg.Token, w.cfg.Identity = login, nil
	}
	w.cfg.Relay = relay
	w.look = agent.NewScout(w.cfg)
	return w
}

// run makes the checks of the way.
func (w *way) run(ctx context.Context) []cmdline.Result {
	var err error
	if w.proxy, err = w.look.Proxy(); err != nil {
		// The error may repeat what the environment has.
		return []cmdline.Result{cmdline.Check("proxy").Failed("write HTTPS_PROXY as http://host:port", "the environment names no proxy that can be used")}
	}
	v4, v6, dns := w.checkDNS(ctx)
	connected, results := w.checkFamilies(ctx, v4, v6)
	results = append([]cmdline.Result{dns}, results...)
	through := w.checkProxy(ctx)
	results = append(results, through)
	if !connected && through.State != cmdline.StateOK {
		return append(results, cmdline.Check("relay").Skipped("nothing at %s connects, so nothing more is to be seen of it", w.relay))
	}
	tls, answers := w.checkTLS(ctx)
	results = append(results, tls)
	if !answers {
		return append(results, cmdline.Check("relay").Skipped("nothing at %s speaks TLS, so nothing more is to be seen of it", w.relay))
	}
	return append(results, w.checkRelay(ctx)...)
}

// checkDNS looks the relay's host up, for both families.
func (w *way) checkDNS(ctx context.Context) (v4, v6 []netip.Addr, _ cmdline.Result) {
	const check cmdline.Check = "dns"
	host := w.relay.Host
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr = addr.Unmap(); addr.Is4() {
			return []netip.Addr{addr}, nil, check.Skipped("%s is an address", host)
		}
		return nil, []netip.Addr{addr}, check.Skipped("%s is an address", host)
	}
	if w.relay.Loopback() {
		return loopback4(), loopback6(), check.Skipped("%s is this machine, without DNS", host)
	}
	v4, v6, err := w.lookup(ctx, host)
	found := append(v4[:len(v4):len(v4)], v6...)
	switch {
	case len(found) > 0 && err != nil:
		return v4, v6, check.Warning("see whether the resolver answers each time", "%s is %s, but not all was answered: %v", host, list(found), err)
	case len(found) > 0:
		return v4, v6, check.OK("%s is %s", host, list(found))
	case w.proxy != nil:
		return nil, nil, check.Skipped("%s does not resolve here: the proxy is to look it up", host)
	case err == nil:
		return nil, nil, check.Failed("check --relay for a slip; if the name is right, its owner is to add it to the zone", "%s does not resolve", host)
	}
	return nil, nil, check.Failed("check the network, and the resolver that this machine uses", "%s cannot be looked up: %v", host, err)
}

func loopback4() []netip.Addr { return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})} }
func loopback6() []netip.Addr { return []netip.Addr{netip.IPv6Loopback()} }

// lookup returns the addresses of a host, of both families at once. An error is
// not that there are none.
func (d *Doctor) lookup(ctx context.Context, host string) (v4, v6 []netip.Addr, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var err4, err6 error
	var wg sync.WaitGroup
	wg.Go(func() { v4, err4 = d.Machine.Lookup(ctx, "ip4", host) })
	wg.Go(func() { v6, err6 = d.Machine.Lookup(ctx, "ip6", host) })
	wg.Wait()
	for _, e := range []error{err4, err6} {
		if e != nil && !notFound(e) {
			err = e
		}
	}
	for i, a := range v4 {
		v4[i] = a.Unmap()
	}
	return v4, v6, err
}

// notFound reports whether a lookup has shown that there is no such name, or none
// of the family.
func notFound(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	_, family := errors.AsType[*net.AddrError](err)
	return ok && dns.IsNotFound || family
}

// A family is the addresses of one kind, and who of them connects.
type family struct {
	check     cmdline.Check
	addrs     []netip.Addr
	good, bad []string // those that connect; why others do not
	took      time.Duration
	noRoute   bool // the machine has no address of the kind
}

// connect connects to each address, all at once.
func (d *Doctor) connect(ctx context.Context, port string, families ...*family) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, f := range families {
		errs, took := make([]error, len(f.addrs)), make([]time.Duration, len(f.addrs))
		wg.Go(func() {
			var each sync.WaitGroup
			for i, a := range f.addrs {
				each.Go(func() {
					began := time.Now()
					conn, err := d.Machine.Dial(ctx, "tcp", net.JoinHostPort(a.String(), port))
					if errs[i], took[i] = err, time.Since(began); err == nil {
						conn.Close()
					}
				})
			}
			each.Wait()
			for i, a := range f.addrs {
				at := net.JoinHostPort(a.String(), port)
				if errs[i] == nil {
					f.good, f.took = append(f.good, at), max(f.took, took[i])
					continue
				}
				f.bad = append(f.bad, at+" "+why(errs[i]))
				f.noRoute = errors.Is(errs[i], syscall.ENETUNREACH) || errors.Is(errs[i], syscall.EADDRNOTAVAIL)
			}
		})
	}
	wg.Wait()
}

// why says what keeps a connection from an address.
func why(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return fmt.Sprintf("gives no answer within %v", timeout)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refuses connections"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	return fmt.Sprintf("cannot be reached: %v", err)
}

// checkFamilies connects to the relay's addresses, and reports whether one
// connects.
func (w *way) checkFamilies(ctx context.Context, v4, v6 []netip.Addr) (connected bool, results []cmdline.Result) {
	four, six := &family{check: "ipv4", addrs: v4}, &family{check: "ipv6", addrs: v6}
	if w.proxy != nil {
		const proxied = "the proxy connects"
		return false, []cmdline.Result{four.check.Skipped(proxied), six.check.Skipped(proxied)}
	}
	w.connect(ctx, w.relay.Port, four, six)
	return len(four.good)+len(six.good) > 0, []cmdline.Result{w.judge(four, six), w.judge(six, four)}
}

// judge says what a family of the relay's addresses is good for, beside the other.
func (w *way) judge(f, other *family) cmdline.Result {
	bad := strings.Join(f.bad, "; ")
	switch {
	case len(f.addrs) == 0:
		return f.check.Skipped("the relay has no such address")
	case len(f.bad) == 0:
		return f.check.OK("%s connects within %v", strings.Join(f.good, " and "), short(f.took))
	case len(f.good) == 0 && len(other.good) > 0 && f.noRoute:
		return f.check.Skipped("this machine has no such address: %s", bad)
	case len(f.good) == 0 && len(other.good) > 0 && w.relay.Loopback():
		return f.check.Skipped("%s, which is no fault: %s connects", bad, strings.Join(other.good, " and "))
	case len(f.good)+len(other.good) > 0:
		return f.check.Warning("have the relay listen there too, or take the address out of the zone", "%s: agents lose time before they try %s",
			bad, strings.Join(slices.Concat(f.good, other.good), " and "))
	}
	return f.check.Failed("start the relay, or check --relay; let port "+w.relay.Port+" through the firewalls between", "%s", bad)
}

// checkProxy connects to the relay through the proxy.
func (w *way) checkProxy(ctx context.Context) cmdline.Result {
	const check cmdline.Check = "proxy"
	if w.proxy == nil {
		return check.Skipped("none leads to %s", w.relay)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	began := time.Now()
	conn, err := w.look.Connect(ctx)
	if err != nil {
		e := w.look.Explain(err)
		return check.Failed(e.Hint, "%s", e.Message)
	}
	conn.Close()
	return check.OK("%s connects to %s within %v", w.proxy.Host, w.relay, short(time.Since(began)))
}

// short is d to three digits or so.
func short(d time.Duration) time.Duration {
	for _, unit := range []time.Duration{time.Second, time.Millisecond} {
		if d >= unit {
			return d.Round(unit / 100)
		}
	}
	return d.Round(time.Microsecond)
}

func list(addrs []netip.Addr) string {
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = a.String()
	}
	return strings.Join(texts, ", ")
}
