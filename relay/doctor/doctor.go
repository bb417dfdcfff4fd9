// Package doctor looks at a relay from the machine where it runs, and says what
// keeps agents and visitors from it.
package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"share/tunnel/cmdline"
)

// ErrBusy is why a database cannot be looked at.
var ErrBusy = errors.New("a process has it open")

// A Doctor is what a relay is to be, and how to look at it. Run starts it.
type Doctor struct {
	// Public is the URL of the domain as visitors reach it: scheme and host.
	Public *url.URL

	// Front says that something stands before the relay at Public.
	Front bool

	// Redirect is the port at which visitors in plain HTTP are sent on, and
	// Agents that of agents alone, both empty if there is none.
	Redirect, Agents string

	// File is the chain of certificates of a file that the relay is to show,
	// its own first; it counts while nothing answers. If nil, there is none.
	File []*x509.Certificate

	// CA says that the relay obtains its certificates from a CA, and Demand that
	// each name has one of its own, once a visitor asks for it.
	CA, Demand bool

	// Data is the relay's data folder, empty if it keeps nothing.
	Data string

	// Operate asks the relay that runs with Data for something. If it returns
	// an error, no relay answers.
	Operate func(ctx context.Context) error

	// CheckStore returns what is wrong with the database in Data: ErrBusy in
	// its chain if a process has it open, fs.ErrNotExist if there is none.
	CheckStore func() error

	// Machine is the machine; Local has its own.
	Machine Machine
}

// A Machine is what a Doctor uses of a machine.
type Machine struct {
	Lookup      func(ctx context.Context, host string) ([]netip.Addr, error)
	Dial        func(ctx context.Context, network, address string) (net.Conn, error)
	Addresses   func() ([]netip.Addr, error)                   // its own
	Roots       *x509.CertPool                                 // nil: the system's
	Now         func() time.Time                               //
	Synchronous func() (bound time.Duration, kept, known bool) // whether the kernel says that the clock is kept right
	Descriptors func() (limit uint64, err error)               // that of a process
	Free        func(folder string) (bytes uint64, err error)  // errors.ErrUnsupported if it cannot be told
}

// timeout bounds each thing that is waited for.
const timeout = 5 * time.Second

// Run makes all checks and returns what they have found, in the order in which
// one rests upon the others.
func (d *Doctor) Run(ctx context.Context) []cmdline.Result {
	var all []cmdline.Result
	add := func(r ...cmdline.Result) { all = append(all, r...) }
	running := d.checkSocket(ctx)
	add(running)
	addrs, dns := d.checkDNS(ctx)
	add(dns, d.checkWildcard(ctx, addrs), d.checkAddress(addrs))
	open, ports := d.checkPorts(ctx, addrs)
	add(ports...)
	answered, answer := d.checkAnswer(ctx, open)
	add(answer, d.checkCertificate(ctx, open), d.checkClock(answered))
	add(d.checkDescriptors(), d.checkFolder(), d.checkSpace(), d.checkStore(running.State == cmdline.StateOK))
	return all
}

// host is the domain's, below which names live.
func (d *Doctor) host() string { return d.Public.Hostname() }

// port is that of the public URL.
func (d *Doctor) port() string {
	if port := d.Public.Port(); port != "" {
		return port
	}
	if d.Public.Scheme == "https" {
		return "443"
	}
	return "80"
}

// local reports whether the relay is for this machine alone.
func (d *Doctor) local() bool {
	return d.host() == "localhost" || strings.HasSuffix(d.host(), ".localhost")
}
