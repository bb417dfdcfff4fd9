package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"time"

	"share/agent"
	"share/agent/target"
	"share/relay"
	"share/tunnel/cmdline"
)

const (
	// allocVisitors keep a connection each and ask again and again.
	allocVisitors = 8

	// allocWarm requests fill pools before allocAsks are counted.
	allocWarm = 4000
	allocAsks = 20000
)

// allocs is a trial: what relay and agent allocate for a request. They run in
// this process, with visitors and a target that allocate nothing.
func allocs(ctx context.Context, f *field, r *route) (figures, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	answers, err := serveStill(&wg)
	if err != nil {
		return nil, err
	}
	defer answers.Close()
	web, stop, err := inside(ctx, &wg, f, r.name == tlsLink, answers.Addr().String())
	if err != nil {
		return nil, err
	}
	defer stop()
	v := newVisitor(endpoint{web, "web.localhost"})
	err = v.await(ctx)
	v.close()
	if err != nil {
		return nil, err
	}
	objects, size, err := count(ctx, endpoint{web, "web.localhost"})
	return figures{"objects": objects, "bytes": size}, err
}

// inside runs a relay and an agent in this process and returns where visitors
// come to. stop tells them to end; what they run on is added to wg.
func inside(ctx context.Context, wg *sync.WaitGroup, f *field, secure bool, to string) (web string, stop func(), err error) {
	certificate, err := relay.LoadCertificate(f.cert, f.key)
	if err != nil {
		return "", nil, err
	}
	addresses := relay.Addresses{HTTP: "127.0.0.1:0", HTTPS: "127.0.0.1:0", Certificate: certificate}
	doors, err := addresses.Listen()
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	rel, err := relay.New(relay.Config{Grace: -1})
	if err != nil {
		cancel()
		return "", nil, err
	}
	wg.Go(func() { _ = rel.Serve(ctx, doors...) }) // visitors see an error
	link := "http://" + doors[0].Addr().String()
	if secure {
		link = "https://" + doors[1].Addr().String()
	}
	cfg := agent.Config{Name: "web", Grace: -1, OnEvent: func(agent.Event) {}}
	cfg.Relay, err = agent.ParseRelay(link, false)
	if err == nil {
		cfg.RelayCA, err = cmdline.LoadRoots(f.cert)
	}
	if err == nil {
		cfg.Target.Address, err = target.Parse(to)
	}
	var a *agent.Agent
	if err == nil {
		a, err = agent.New(cfg)
	}
	if err != nil {
		cancel()
		return "", nil, err
	}
	wg.Go(func() { _ = a.Run(ctx) }) // as above
	return doors[0].Addr().String(), cancel, nil
}

// serveStill is a target that allocates nothing for a request. What it runs on
// is added to wg; connections end with their peers.
func serveStill(wg *sync.WaitGroup) (net.Listener, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for a target: %w", err)
	}
	reply := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nServer: x\r\nDate: Mon, 23 Nov 2026 10:00:00 GMT\r\n"+
		"Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(payload), payload)
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				buf := make([]byte, 16<<10)
				for {
					// Heads are small and come in one piece.
					n, err := conn.Read(buf)
					if err != nil {
						return
					}
					if !bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
						continue
					}
					if _, err := conn.Write(reply); err != nil {
						return
					}
				}
			})
		}
	})
	return ln, nil
}

// count is how many objects, and bytes, all of this process allocates for a
// request.
func count(ctx context.Context, to endpoint) (objects, size float64, err error) {
	asks := make([]*asker, allocVisitors)
	for i := range asks {
		if asks[i], err = newAsker(ctx, to); err != nil {
			return 0, 0, err
		}
		defer asks[i].done()
	}
	if err := askAll(asks, allocWarm); err != nil {
		return 0, 0, err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := askAll(asks, allocAsks); err != nil {
		return 0, 0, err
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / allocAsks, float64(after.TotalAlloc-before.TotalAlloc) / allocAsks, nil
}

// askAll has n requests made, shared between the askers.
func askAll(asks []*asker, n int) error {
	errs := make([]error, len(asks))
	var wg sync.WaitGroup
	for i, a := range asks {
		wg.Go(func() {
			for range n / len(asks) {
				if errs[i] = a.ask(); errs[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// asker is a visitor that allocates nothing. It knows an answer by its length,
// which it learns from the first.
type asker struct {
	conn    net.Conn
	done    func()
	request []byte
	buf     []byte
	length  int
}

func newAsker(ctx context.Context, to endpoint) (*asker, error) {
	conn, done, err := dial(ctx, to)
	if err != nil {
		return nil, err
	}
	a := &asker{conn: conn, done: done, buf: make([]byte, 16<<10),
		request: []byte("GET / HTTP/1.1\r\nHost: " + to.host + "\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")}
	if _, err := conn.Write(a.request); err != nil {
		done()
		return nil, fmt.Errorf("send request: %w", err)
	}
	for !bytes.HasSuffix(a.buf[:a.length], []byte(payload)) {
		n, err := conn.Read(a.buf[a.length:])
		if err != nil {
			done()
			return nil, fmt.Errorf("read the first answer: %w", err)
		}
		a.length += n
	}
	if !strings.HasPrefix(string(a.buf[:a.length]), "HTTP/1.1 200 ") {
		done()
		return nil, fmt.Errorf("the first answer begins with %.20q", a.buf)
	}
	return a, nil
}

func (a *asker) ask() error {
	if _, err := a.conn.Write(a.request); err != nil {
		return fmt.Errorf("send request: %w", err)
	}
	if _, err := io.ReadFull(a.conn, a.buf[:a.length]); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if !bytes.HasSuffix(a.buf[:a.length], []byte(payload)) {
		return fmt.Errorf("an answer is not as the first: %.40q", a.buf)
	}
	return nil
}
