package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"share/agent/target"
	"share/tunnel/cmdline"
)

// maxPage bounds what is read of a target's answer.
const maxPage = 64 << 10

// checkTarget looks at the target as visitors will meet it.
func (d *Doctor) checkTarget(ctx context.Context) []cmdline.Result {
	const check cmdline.Check = "target"
	if d.Target == (target.Address{}) {
		return []cmdline.Result{check.Skipped("none is named: share doctor 8080 looks at that port too")}
	}
	t := &targeted{Doctor: d}
	results := t.checkConnects(ctx)
	if t.at == "" {
		return append(results, check.Skipped("nothing at %s connects, so nothing more is to be seen of it", d.Target))
	}
	return append(results, t.checkAnswers(ctx)...)
}

// A targeted is a target that is looked at.
type targeted struct {
	*Doctor
	network, at string // where it takes connections, empty if it does not
}

// checkConnects looks where the target takes connections.
func (t *targeted) checkConnects(ctx context.Context) []cmdline.Result {
	if t.Target.Path != "" {
		return []cmdline.Result{t.checkUnix(ctx)}
	}
	four, six := &family{check: "target ipv4"}, &family{check: "target ipv6"}
	ip, err := netip.ParseAddr(t.Target.Host)
	named := err != nil
	switch {
	case !named && ip.Is4():
		four.addrs = []netip.Addr{ip}
	case !named:
		six.addrs = []netip.Addr{ip}
	case t.Target.Loopback():
		four.addrs, six.addrs = loopback4(), loopback6()
	default:
		if four.addrs, six.addrs, err = t.lookup(ctx, t.Target.Host); len(four.addrs)+len(six.addrs) == 0 {
			why := "does not resolve"
			if err != nil {
				why = fmt.Sprintf("cannot be looked up: %v", err)
			}
			return []cmdline.Result{cmdline.Check("target dns").Failed("check the target's name", "%s %s", t.Target.Host, why)}
		}
	}
	t.connect(ctx, strconv.Itoa(t.Target.Port), four, six)
	if good := slices.Concat(four.good, six.good); len(good) > 0 {
		t.network, t.at = "tcp", good[0]
	}
	return []cmdline.Result{t.judge(four), t.judge(six)}
}

// judge says whether a family of the target's addresses connects.
func (t *targeted) judge(f *family) cmdline.Result {
	bad := strings.Join(f.bad, "; ")
	switch {
	case len(f.addrs) == 0:
		return f.check.Skipped("%s has no such address", t.Target.Host)
	case len(f.bad) == 0:
		return f.check.OK("%s connects", strings.Join(f.good, " and "))
	case t.at != "" && t.Target.Loopback():
		return f.check.Skipped("%s, which is no fault: agents try both, and %s connects", bad, t.at)
	case t.at != "":
		return f.check.Warning("name the address that connects as the target", "%s, and %s connects", bad, t.at)
	}
	return f.check.Failed("start the target, or name the port where it listens", "%s", bad)
}

func (t *targeted) checkUnix(ctx context.Context) cmdline.Result {
	const check cmdline.Check = "target socket"
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := t.Machine.Dial(ctx, "unix", t.Target.Path)
	if err != nil {
		if op, ok := errors.AsType[*net.OpError](err); ok {
			err = op.Err
		}
		return check.Failed("start the target, and let this user open its socket", "%s does not connect: %v", t.Target.Path, err)
	}
	conn.Close()
	t.network, t.at = "unix", t.Target.Path
	return check.OK("%s connects", t.Target.Path)
}

// checkAnswers asks the target for its page: in the way that it is named, in the
// other if that fails, and as visitors do.
func (t *targeted) checkAnswers(ctx context.Context) []cmdline.Result {
	const plainly, securely, host cmdline.Check = "target http", "target https", "target host"
	named, other := plainly, securely
	secure := t.Target.Scheme == target.HTTPS || t.Target.Scheme == target.H2
	if secure {
		named, other = securely, plainly
	}
	first, err := t.ask(ctx, t.Target.Scheme, t.Target.Authority())
	scheme, instead := target.HTTPS, t.Target
	if secure {
		scheme = target.HTTP
	}
	instead.Scheme = scheme
	var second *answer
	// 400 is what servers of HTTPS answer those who speak in plain.
	if err != nil || !secure && first.code == http.StatusBadRequest {
		second, _ = t.ask(ctx, scheme, t.Target.Authority())
	}
	switch {
	case second != nil:
		cure := "share it as " + instead.String()
		if second.foreign != nil {
			cure += ", with --insecure-target"
		}
		why := "it answers 400 Bad Request, as servers do that want TLS"
		if err != nil {
			why = t.whyNot(err)
		}
		return []cmdline.Result{named.Failed(cure, "%s", why), other.OK("it answers %s", second.status), host.Skipped("it does not answer as it is named")}
	case err != nil:
		return []cmdline.Result{named.Failed("see what keeps it from answering", "%s", t.whyNot(err)),
			other.Skipped("nor does it answer that way"), host.Skipped("it does not answer")}
	}
	return []cmdline.Result{t.judgeAnswer(named, first), other.Skipped("it is shared as %s", t.Target), t.checkHost(ctx, host, first)}
}

// An answer is what a target says to a GET.
type answer struct {
	code     int
	status   string
	location string
	page     string
	foreign  error // why its certificate is not trusted; nil if it is, or there is none
}

// ask gets the target's page, with a Host.
func (t *targeted) ask(ctx context.Context, scheme, host string) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(scheme == target.HTTP || scheme == target.HTTPS)
	protocols.SetHTTP2(scheme == target.H2)
	protocols.SetUnencryptedHTTP2(scheme == target.H2C)
	transport := &http.Transport{
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return t.Machine.Dial(ctx, t.network, t.at) },
		TLSClientConfig:        &tls.Config{InsecureSkipVerify: true, ServerName: t.Target.Host}, // foreign has the verdict
		Protocols:              protocols,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxPage,
	}
	defer transport.CloseIdleConnections()
	u := &url.URL{Scheme: "http", Host: t.Target.Authority(), Path: "/"}
	if scheme == target.HTTPS || scheme == target.H2 {
		u.Scheme = "https"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Host = host
	req.Header.Set("User-Agent", "share")
	req.Header.Set("Accept", "text/html,*/*;q=0.8")
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	a := &answer{code: resp.StatusCode, status: resp.Status, location: resp.Header.Get("Location")}
	if a.code >= 400 {
		page, _ := io.ReadAll(io.LimitReader(resp.Body, maxPage)) // what there is of it
		a.page = string(page)
	}
	if resp.TLS != nil && !t.InsecureTarget {
		a.foreign = t.distrust(resp.TLS.PeerCertificates)
	}
	return a, nil
}

// distrust returns why agents do not believe a target's certificates, of which there
// is one.
func (t *targeted) distrust(chain []*x509.Certificate) error {
	others := x509.NewCertPool()
	for _, c := range chain[1:] {
		others.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{DNSName: t.Target.Host, Intermediates: others, CurrentTime: t.Machine.Now()})
	return err
}

func (t *targeted) judgeAnswer(check cmdline.Check, a *answer) cmdline.Result {
	switch {
	case a.foreign != nil:
		return check.Failed("share it with --insecure-target, or have this machine trust it", "it answers %s, with a certificate that is not trusted: %v", a.status, a.foreign)
	case a.code >= 500:
		return check.Warning("see its log", "it answers %s", a.status)
	case a.location != "":
		return check.OK("it answers %s, to %s", a.status, a.location)
	}
	return check.OK("it answers %s", a.status)
}

// checkHost asks the target as visitors do, by the host of a URL, and compares the
// answer with that to its own.
func (t *targeted) checkHost(ctx context.Context, check cmdline.Check, own *answer) cmdline.Result {
	host := t.visited()
	const cure = "share it with --host-header target, or have it admit the host"
	a, err := t.ask(ctx, t.Target.Scheme, host)
	switch {
	case err != nil:
		return check.Failed(cure, "asked as %s, %s", host, t.whyNot(err))
	case a.code >= 400 && (own.code < 400 || refusesHost(a.page) && !refusesHost(own.page)):
		return check.Failed(cure, "it answers %s when it is asked as %s, and %s otherwise", a.status, host, own.status)
	case leadsHome(a.location, t.Target):
		return check.Warning("have it redirect to the Host that it is asked as, or to a path alone", "asked as %s, it sends visitors to %s, which is their own machine", host, a.location)
	}
	return check.OK("asked as %s, it answers %s", host, a.status)
}

// visited is a host as URLs have it at the relay.
func (t *targeted) visited() string {
	const name = "share-doctor."
	switch {
	case len(t.Relays) == 0:
		return name + "localhost:7070"
	case t.Relays[0].Loopback():
		return name + "localhost:" + t.Relays[0].Port
	}
	_, host, _ := strings.Cut(t.Relays[0].String(), "://")
	return name + host
}

// refusesHost reports whether a page is one by which dev servers refuse a Host: Vite
// and Rails, webpack, Django.
func refusesHost(page string) bool {
	return slices.ContainsFunc([]string{"Blocked request", "Blocked host", "Invalid Host header", "DisallowedHost", "Invalid HTTP_HOST header"},
		func(words string) bool { return strings.Contains(page, words) })
}

// leadsHome reports whether a Location is this machine's own.
func leadsHome(location string, t target.Address) bool {
	u, err := url.Parse(location)
	if err != nil || u.Host == "" {
		return false
	}
	there := target.Address{Scheme: target.HTTP, Host: u.Hostname()}
	return t.Loopback() && there.Loopback() && !strings.HasPrefix(u.Hostname(), "share-doctor.")
}

// whyNot says why the target has not answered.
func (t *targeted) whyNot(err error) string {
	switch err = plain(err); {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Sprintf("it takes the connection, and has not answered within %v", timeout)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "it closes the connection without an answer"
	case isRecord(err):
		return "it does not speak TLS"
	}
	return fmt.Sprintf("it gives no answer that can be read: %v", err)
}
