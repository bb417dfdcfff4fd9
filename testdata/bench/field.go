package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"

	"share/testdata/bench/delay"
	"share/testdata/bench/rig"
)

// The routes, which are the columns of the table.
const (
	plainLink = "share"
	tlsLink   = "share TLS"
	baseline  = "nginx two-hop" // what ratios are taken to
	oneHop    = "nginx one-hop"
	direct    = "direct"
)

// routeNames is the order of the columns.
func routeNames() []string { return []string{plainLink, tlsLink, baseline, oneHop, direct} }

// aside reports whether a route is only there to compare with: one round of it
// is enough.
func aside(route string) bool { return route == oneHop || route == direct }

// route is one way to the target.
type route struct {
	name  string
	web   endpoint // answers 1 KiB at /, bulk at /big and /part
	sink  endpoint // takes uploads at /up
	tls   endpoint // as web, in HTTP/2 over TLS; none if its addr is empty
	front []int    // process ids of the hop that visitors meet
	back  []int    // of the hop behind it
	aside []int    // of what only uploads pass
}

// endpoint is where a visitor connects and the Host to ask for.
type endpoint struct{ addr, host string }

// field is all that runs during the measurement: target, sink, and a route
// for each column. Close ends it.
type field struct {
	plan   plan
	dir    string
	routes []*route

	bin       string // share
	cert, key string
	target    string // address of the nginx that answers
	sinkAddr  string
	sink      *http.Server
	sunk      *atomic.Int64 // bytes that it has taken
	lines     []*delay.Line
	children  []*rig.Process
}

func openField(ctx context.Context, dir string, p plan, names []string) (*field, error) {
	f := &field{plan: p, dir: dir, sunk: new(atomic.Int64)}
	if err := f.open(ctx, names); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (f *field) open(ctx context.Context, names []string) error {
	var err error
	if f.cert, f.key, err = rig.WriteCert(f.dir); err != nil {
		return err
	}
	if err := f.startTarget(ctx); err != nil {
		return err
	}
	if err := f.startSink(); err != nil {
		return err
	}
	starts := map[string]func(context.Context) (*route, error){
		plainLink: f.sharePlain,
		tlsLink:   f.shareTLS,
		baseline:  f.nginxTwoHop,
		oneHop:    f.nginxOneHop,
		direct:    f.straight,
	}
	for _, name := range names {
		if !slices.Contains(routeNames(), name) {
			return fmt.Errorf("no route %q; there are %q", name, routeNames())
		}
		r, err := starts[name](ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		r.name = name
		if err := r.check(ctx); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		f.routes = append(f.routes, r)
	}
	return nil
}

// Close ends every child, agents before their relays.
func (f *field) Close() {
	if f.sink != nil {
		_ = f.sink.Close() // its listener goes with the process
	}
	for _, child := range slices.Backward(f.children) {
		child.Close()
	}
	for _, line := range f.lines {
		_ = line.Close() // it is gone in any case
	}
}

// apart is a field of the same target and sink whose routes are its own, for
// trials that bring theirs. The caller closes it.
func (f *field) apart() (*field, error) {
	dir, err := os.MkdirTemp(f.dir, "apart-")
	if err != nil {
		return nil, err
	}
	a := &field{plan: f.plan, dir: dir, cert: f.cert, key: f.key, target: f.target, sinkAddr: f.sinkAddr, sunk: f.sunk}
	if a.bin, err = f.binary(context.Background()); err != nil {
		return nil, err
	}
	return a, os.Chmod(dir, 0o755)
}

// startTarget runs the nginx that answers: 1 KiB from memory, bulk from files
// of zeros that take no space.
func (f *field) startTarget(ctx context.Context) error {
	files := filepath.Join(f.dir, "files")
	if err := os.Mkdir(files, 0o755); err != nil {
		return err
	}
	for name, size := range map[string]int64{"big": f.plan.Bulk, "part": f.plan.Part, "far": f.plan.Far} {
		path := filepath.Join(files, name)
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			return err
		}
		if err := os.Truncate(path, size); err != nil {
			return err
		}
	}
	addr, err := rig.FreeAddr()
	if err != nil {
		return err
	}
	f.target = addr
	_, err = f.nginx(ctx, "target", addr, runtime.NumCPU(), targetConfig(addr, files))
	return err
}

// startSink serves uploads, of which it says how many bytes came, and what the
// target does, for routes whose uploads and answers are to go one way.
func (f *field) startSink() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for uploads: %w", err)
	}
	f.sinkAddr = ln.Addr().String()
	f.sink = &http.Server{Handler: sinkHandler(f.plan.Bulk, f.sunk)}
	go f.sink.Serve(ln) // ends in Close
	return nil
}

func (f *field) straight(context.Context) (*route, error) {
	return &route{web: endpoint{f.target, f.target}, sink: endpoint{f.sinkAddr, f.sinkAddr}}, nil
}

// binary is the path of share, which is built when it is first wanted.
func (f *field) binary(ctx context.Context) (string, error) {
	if f.bin == "" {
		bin, err := rig.Build(ctx, f.dir)
		if err != nil {
			return "", err
		}
		f.bin = bin
	}
	return f.bin, nil
}
