package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"share/tunnel/cmdline"
)

// relayPage is what the page of a relay begins with.
const relayPage = "This is a share relay."

const (
	// maxPage bounds what is read of an answer.
	maxPage = 4 << 10

	// maxDrift is by how much clocks may differ: what identity tokens are
	// allowed.
	maxDrift = time.Minute
)

// checkPorts connects to each address at each port that is to be open, and
// returns the addresses whose public port is.
func (d *Doctor) checkPorts(ctx context.Context, addrs []netip.Addr) (open []netip.Addr, results []cmdline.Result) {
	ports := []string{d.port()}
	for _, port := range []string{d.Redirect, d.Agents} {
		if port != "" && port != d.port() {
			ports = append(ports, port)
		}
	}
	for i, port := range ports {
		check := cmdline.Check("port " + port)
		if len(addrs) == 0 {
			results = append(results, check.Skipped("there is no address to connect to"))
			continue
		}
		if port == "0" {
			results = append(results, check.Skipped("the relay listens at any port that is free: name one"))
			continue
		}
		var good, bad []string
		for _, a := range addrs {
			at := a.String()
			conn, err := d.dial(ctx, net.JoinHostPort(at, port))
			if err != nil {
				bad = append(bad, fmt.Sprintf("%s: %v", at, err))
				continue
			}
			conn.Close()
			good = append(good, at)
			if i == 0 {
				open = append(open, a)
			}
		}
		if len(bad) > 0 {
			results = append(results, check.Failed("start the relay at port "+port+", and let it through the firewall and to this machine",
				"nobody answers: %s", strings.Join(bad, "; ")))
			continue
		}
		results = append(results, check.OK("%s answers; this is seen from this machine, and a firewall before it is not", strings.Join(good, ", ")))
	}
	return open, results
}

func (d *Doctor) dial(ctx context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return d.Machine.Dial(ctx, "tcp", address)
}

// checkAnswer asks each open address for the domain's page, and returns the Date
// of the last answer.
func (d *Doctor) checkAnswer(ctx context.Context, open []netip.Addr) (date time.Time, _ cmdline.Result) {
	const check cmdline.Check = "answer"
	if len(open) == 0 {
		return date, check.Skipped("nothing answers")
	}
	var other []string
	for _, a := range open {
		resp, page, err := d.ask(ctx, a)
		switch {
		case err != nil:
			other = append(other, fmt.Sprintf("%s: %v", a, err))
			continue
		case !strings.HasPrefix(page, relayPage):
			other = append(other, fmt.Sprintf("%s answers %s, and not as a relay", a, resp.Status))
		}
		if t, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			date = t
		}
	}
	if len(other) > 0 {
		return date, check.Failed("stop what listens there instead, or see that the domain leads to the relay", "%s", strings.Join(other, "; "))
	}
	return date, check.OK("%s is a share relay", d.Public)
}

// ask gets the domain's page from an address. Certificates are another check's.
func (d *Doctor) ask(ctx context.Context, from netip.Addr) (*http.Response, string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return d.Machine.Dial(ctx, network, net.JoinHostPort(from.String(), d.port()))
		},
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, ServerName: d.host()},
		DisableKeepAlives: true,
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.Public.Scheme+"://"+d.Public.Host+"/", nil)
	if err != nil {
		return nil, "", err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	return resp, string(b), err
}

// checkClock looks whether the clock is right, without another machine's help.
func (d *Doctor) checkClock(date time.Time) cmdline.Result {
	const check cmdline.Check = "clock"
	if drift := d.Machine.Now().Sub(date).Abs(); !date.IsZero() && drift > maxDrift {
		return check.Failed("set the clock of both: run an NTP client, such as systemd-timesyncd or chrony",
			"it differs by %v from the Date that %s answers", drift.Round(time.Second), d.Public)
	}
	bound, kept, known := d.Machine.Synchronous()
	switch {
	case kept:
		return check.OK("the kernel says that it is kept right, within %v", bound.Round(time.Millisecond))
	case known:
		return check.Skipped("the kernel says that nothing keeps it right; an NTP client would. The Date that the relay answers is this same clock")
	}
	return check.Skipped("there is no other clock to compare it with: the Date that the relay answers is this same one")
}
