package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"share/testdata/bench/rig"
)

func serveTarget(ts *testscript.TestScript, neg bool, args []string) {
	kind := ""
	if len(args) > 0 && strings.HasPrefix(args[0], "-") {
		kind, args = args[0], args[1:]
	}
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: target [-tls | -unix | -ipv6] var [port or path]")
	}
	network, addr := "tcp", "127.0.0.1:0"
	switch {
	case kind == "-unix":
		network, addr = "unix", ts.MkAbs(args[1])
	case kind == "-ipv6":
		addr = "[::1]:" + args[1]
	case len(args) == 2:
		addr = "127.0.0.1:" + args[1]
	}
	ln, err := net.Listen(network, addr)
	ts.Check(err)
	gate := ts.Value("gate").(*gate)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/gate" {
			gate.pass(r.Context())
		}
		echo(w, r)
	}))
	srv.Listener.Close()
	srv.Listener = ln
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	if kind == "-tls" {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	ts.Defer(func() {
		gate.open()
		srv.Close()
	})
	if network == "tcp" {
		addr = port(ln.Addr())
	}
	ts.Setenv(args[0], addr)
}

// echo is what the targets of scripts answer: what they were asked; below
// /status/ with the status that follows, for /fields with the header too.
func echo(w http.ResponseWriter, r *http.Request) {
	if s, ok := strings.CutPrefix(r.URL.Path, "/status/"); ok {
		code, _ := strconv.Atoi(s)
		w.WriteHeader(code)
	}
	fmt.Fprintf(w, "target: %s %s\n", r.Method, r.RequestURI)
	if r.URL.Path == "/fields" {
		fmt.Fprintf(w, "got Host: %s\n", r.Host)
		for name, values := range r.Header {
			for _, v := range values {
				fmt.Fprintf(w, "got %s: %s\n", name, v)
			}
		}
	}
}

// A gate keeps requests at a target until it is opened.
type gate struct {
	reached, opened         chan struct{}
	reachedOnce, openedOnce sync.Once
}

func newGate() *gate {
	return &gate{reached: make(chan struct{}), opened: make(chan struct{})}
}

func (g *gate) pass(ctx context.Context) {
	g.reachedOnce.Do(func() { close(g.reached) })
	select {
	case <-g.opened:
	case <-ctx.Done():
	}
}

func (g *gate) open() { g.openedOnce.Do(func() { close(g.opened) }) }

func gated(ts *testscript.TestScript, neg bool, args []string) {
	select {
	case <-ts.Value("gate").(*gate).reached:
	case <-time.After(patience):
		ts.Fatalf("no request for /gate came in %v", patience)
	}
}

func openGate(ts *testscript.TestScript, neg bool, args []string) {
	ts.Value("gate").(*gate).open()
}

// condition is what scripts ask of the machine: [lan], whether the local network
// reaches it.
func condition(cond string) (bool, error) {
	switch cond {
	case "ipv6":
		ln, err := net.Listen("tcp", "[::1]:0")
		if err != nil {
			return false, nil
		}
		return true, ln.Close()
	case "lan":
		return hasLAN()
	}
	return false, fmt.Errorf("unknown condition %q", cond)
}

// hasLAN reports whether the machine has a private address.
func hasLAN() (bool, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return false, err
	}
	for _, i := range interfaces {
		addrs, err := i.Addrs()
		if err != nil || i.Flags&net.FlagUp == 0 || i.Flags&(net.FlagLoopback|net.FlagPointToPoint) != 0 {
			continue
		}
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.IsPrivate() {
				return true, nil
			}
		}
	}
	return false, nil
}

func freePort(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: freeport var")
	}
	addr, err := rig.FreeAddr()
	ts.Check(err)
	_, port, err := net.SplitHostPort(addr)
	ts.Check(err)
	ts.Setenv(args[0], port)
}

func occupy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: occupy var")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { ln.Close() })
	ts.Setenv(args[0], port(ln.Addr()))
}

func port(addr net.Addr) string { return strconv.Itoa(addr.(*net.TCPAddr).Port) }

func get(ts *testscript.TestScript, neg bool, args []string) {
	text, err := fetch(ts, args)
	if neg != (err != nil) {
		ts.Fatalf("get %q: %v", args, err)
	}
	io.WriteString(ts.Stdout(), text)
}

func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || args[1] != "get" {
		ts.Fatalf("usage: until regexp get ...")
	}
	re, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	last := ""
	for timeout := time.After(patience); ; {
		text, err := fetch(ts, args[2:])
		if err == nil && re.MatchString(text) {
			io.WriteString(ts.Stdout(), text)
			return
		}
		if last = text; err != nil {
			last = err.Error()
		}
		select {
		case <-tick.C:
		case <-timeout:
			ts.Fatalf("no answer like %s in %v; the last: %s", args[0], patience, last)
		}
	}
}

// An answer is what fetch gave beside a script.
type answer struct {
	text string
	err  error
}

func ask(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || args[1] != "get" {
		ts.Fatalf("usage: ask name get ...")
	}
	c := make(chan answer, 1)
	go func() { // ends within patience
		text, err := fetch(ts, args[2:])
		c <- answer{text, err}
	}()
	ts.Value("asked").(map[string]chan answer)[args[0]] = c
}

func answered(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: answered name")
	}
	c := ts.Value("asked").(map[string]chan answer)[args[0]]
	if c == nil {
		ts.Fatalf("%s was not asked", args[0])
	}
	a := <-c
	if neg != (a.err != nil) {
		ts.Fatalf("got %q, %v", a.text, a.err)
	}
	io.WriteString(ts.Stdout(), a.text)
}

// raw sends bytes as they are.
func raw(ts *testscript.TestScript, neg bool, args []string) {
	dialer := net.Dialer{}
	if len(args) > 1 && args[0] == "-from" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(args[1])}
		args = args[2:]
	}
	if neg || len(args) != 2 {
		ts.Fatalf("usage: raw [-from address] port text")
	}
	text, err := strconv.Unquote(`"` + args[1] + `"`)
	ts.Check(err)
	conn, err := dialer.Dial("tcp", "127.0.0.1:"+args[0])
	ts.Check(err)
	defer conn.Close()
	ts.Check(conn.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(conn, text)
	ts.Check(err)
	_, err = io.Copy(ts.Stdout(), conn)
	ts.Check(err)
}

// oldRelay answers as a relay that speaks version 9 alone.
func oldRelay(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: oldrelay var")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	done := make(chan struct{})
	go func() { // ends with the listener
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			const refusal = `{"code":"version","message":"this relay speaks version 9"}`
			conn.Write(append([]byte{'S', 'H', 'R', '1', 9, 1, 0, 0, 0, 0, 0, byte(len(refusal))}, refusal...))
			conn.(*net.TCPConn).CloseWrite()
			conn.SetDeadline(time.Now().Add(patience))
			io.Copy(io.Discard, conn)
			conn.Close()
		}
	}()
	ts.Defer(func() {
		ln.Close()
		<-done
	})
	ts.Setenv(args[0], port(ln.Addr()))
}

// certificate writes a certificate that signs itself.
func certificate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: certificate name host...")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     args[1:],
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	ts.Check(err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	for name, block := range map[string]*pem.Block{".crt": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: secret}} {
		ts.Check(os.WriteFile(ts.MkAbs(args[0]+name), pem.EncodeToMemory(block), 0o600))
	}
}

// fetch gives the answer to one request on a connection of its own.
func fetch(ts *testscript.TestScript, args []string) (string, error) {
	flags := flag.NewFlagSet("get", flag.ContinueOnError)
	method := flags.String("x", "GET", "")
	accept := flags.String("a", "", "")
	host := flags.String("h", "", "")
	header := flags.String("f", "", "")
	ca := flags.String("ca", "", "")
	if err := flags.Parse(args); err != nil || flags.NArg() != 1 {
		return "", fmt.Errorf("usage: get [-x method] [-a accept] [-h host] [-f 'Name: value'] [-ca file] url (%v)", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, *method, flags.Arg(0), nil)
	if err != nil {
		return "", err
	}
	req.Host = *host
	if *accept != "" {
		req.Header.Set("Accept", *accept)
	}
	if name, value, ok := strings.Cut(*header, ": "); ok {
		req.Header.Set(name, value)
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if host, port, _ := net.SplitHostPort(addr); strings.HasSuffix(host, ".localhost") || strings.HasSuffix(host, ".test") {
				addr = net.JoinHostPort("127.0.0.1", port)
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}
	defer transport.CloseIdleConnections()
	if *ca != "" {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM([]byte(ts.ReadFile(*ca)))
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
		transport.ForceAttemptHTTP2 = true
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", resp.Proto, resp.Status)
	if err := resp.Header.Write(&b); err != nil {
		return "", err
	}
	b.WriteString("\n")
	if _, err := io.Copy(&b, resp.Body); err != nil {
		return b.String(), err
	}
	return strings.ReplaceAll(b.String(), "\r\n", "\n"), nil
}
