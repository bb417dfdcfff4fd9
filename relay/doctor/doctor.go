// Package doctor looks at a relay from the machine where it runs, and says what
// keeps agents and visitors from it.
package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"
)

// A State is how a check went.
type State string

// What a check comes to. One that is skipped could show nothing; its detail says
// why.
const (
	OK      State = "ok"
	Failed  State = "failed"
	Skipped State = "skipped"
)

// A Result is what a check has found.
type Result struct {
	Check  string `json:"check"`
	State  State  `json:"state"`
	Detail string `json:"detail"`
	Cure   string `json:"cure,omitempty"` // what to do; only if it failed
}

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
func (d *Doctor) Run(ctx context.Context) []Result {
	var all []Result
	add := func(r ...Result) { all = append(all, r...) }
	running := d.checkSocket(ctx)
	add(running)
	addrs, dns := d.checkDNS(ctx)
	add(dns, d.checkWildcard(ctx, addrs), d.checkAddress(addrs))
	open, ports := d.checkPorts(ctx, addrs)
	add(ports...)
	answered, answer := d.checkAnswer(ctx, open)
	add(answer, d.checkCertificate(ctx, open), d.checkClock(answered))
	add(d.checkDescriptors(), d.checkFolder(), d.checkSpace(), d.checkStore(running.State == OK))
	return all
}

// Failures counts the checks that have failed.
func Failures(results []Result) (n int) {
	for _, r := range results {
		if r.State == Failed {
			n++
		}
	}
	return n
}

// WriteTable writes results to w, each cure below what it is for.
func WriteTable(w io.Writer, results []Result) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "CHECK\tSTATE\tDETAIL") // an error stays for Flush
	for _, r := range results {
		fmt.Fprintf(tw, "%s\t%s\t%s\n", r.Check, r.State, oneLine(r.Detail))
		if r.Cure != "" {
			fmt.Fprintf(tw, "\t\tcure: %s\n", oneLine(r.Cure))
		}
	}
	return tw.Flush()
}

// oneLine is s on one line, without what a terminal could take for a command:
// other servers' words may be in it.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, strings.Join(strings.Fields(s), " "))
}

func ok(check, format string, args ...any) Result {
	return Result{Check: check, State: OK, Detail: fmt.Sprintf(format, args...)}
}

func skipped(check, format string, args ...any) Result {
	return Result{Check: check, State: Skipped, Detail: fmt.Sprintf(format, args...)}
}

func failed(check, cure, format string, args ...any) Result {
	return Result{Check: check, State: Failed, Cure: cure, Detail: fmt.Sprintf(format, args...)}
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
