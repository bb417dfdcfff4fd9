package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"share/testdata/bench/rig"
)

// payload is the small answer: 1 KiB.
var payload = strings.Repeat("0123456789abcde\n", 64)

// nginx is set up as one who wants it fast would: pools of kept connections to
// what is behind it, no logs, nothing written to disk. A hop has hopWorkers,
// which makes two hops use two cores.
// Proxies buffer answers (the default) and stream uploads; of the sizes from
// 4 to 256 KiB, buffers of 64 KiB moved the most.
const nginxMain = `daemon off;
%[1]spid %[2]s/pid;
error_log stderr crit;
worker_processes %[4]d;
worker_rlimit_nofile 65536;
events { worker_connections 8192; }
http {
	access_log off;
	sendfile on;
	tcp_nopush on;
	default_type application/octet-stream;
	keepalive_timeout 1h;
	keepalive_requests 1000000000;
	client_max_body_size 0;
	client_body_temp_path %[2]s/body;
	proxy_temp_path %[2]s/proxy;
	fastcgi_temp_path %[2]s/fastcgi;
	uwsgi_temp_path %[2]s/uwsgi;
	scgi_temp_path %[2]s/scgi;
%[3]s
}
`

// hopWorkers is how many workers each of two hops has.
const hopWorkers = 1

// targetConfig answers from memory and from files.
func targetConfig(addr, files string) string {
	return fmt.Sprintf(`
	server {
		listen %s backlog=4096;
		location = / { default_type text/plain; return 200 %q; }
		location / { root %s; }
	}`, addr, payload, files)
}

// proxyConfig is one hop: / to web, /up to sink, with listen lines of its own.
func proxyConfig(web, sink string, listen ...string) string {
	return fmt.Sprintf(`
	upstream web { server %s; keepalive 512; keepalive_requests 1000000000; keepalive_timeout 1h; }
	upstream sink { server %s; keepalive 512; keepalive_requests 1000000000; keepalive_timeout 1h; }
	proxy_http_version 1.1;
	proxy_set_header Connection "";
	proxy_set_header Host $http_host;
	proxy_set_header X-Forwarded-For $remote_addr;
	proxy_set_header X-Forwarded-Proto $scheme;
	proxy_set_header X-Forwarded-Host $http_host;
	proxy_max_temp_file_size 0;
	proxy_buffer_size 8k;
	proxy_buffers 8 64k;
	proxy_busy_buffers_size 128k;
	client_body_buffer_size 64k;
	proxy_request_buffering off;
	server {
		%s
		location / { proxy_pass http://web; }
		location /up { proxy_pass http://sink; }
	}`, web, sink, strings.Join(listen, "\n\t\t"))
}

func (f *field) nginxOneHop(ctx context.Context) (*route, error) {
	return f.nginxChain(ctx, "one", f.target, f.sinkAddr)
}

func (f *field) nginxTwoHop(ctx context.Context) (*route, error) {
	addr, err := rig.FreeAddr()
	if err != nil {
		return nil, err
	}
	back, err := f.nginx(ctx, "back", addr, hopWorkers, proxyConfig(f.target, f.sinkAddr, listen(addr)))
	if err != nil {
		return nil, err
	}
	r, err := f.nginxChain(ctx, "front", addr, addr)
	if err != nil {
		return nil, err
	}
	r.back = back
	return r, nil
}

// nginxChain runs the hop that visitors meet, before web and sink.
func (f *field) nginxChain(ctx context.Context, name, web, sink string) (*route, error) {
	plain, err := rig.FreeAddr()
	if err != nil {
		return nil, err
	}
	secure, err := rig.FreeAddr()
	if err != nil {
		return nil, err
	}
	pids, err := f.nginx(ctx, name, plain, hopWorkers, proxyConfig(web, sink, listen(plain),
		fmt.Sprintf("listen %s ssl http2 backlog=4096;", secure),
		fmt.Sprintf("ssl_certificate %s; ssl_certificate_key %s; ssl_protocols TLSv1.3;", f.cert, f.key)))
	if err != nil {
		return nil, err
	}
	return &route{
		web:   endpoint{plain, plain},
		sink:  endpoint{plain, plain},
		tls:   endpoint{secure, secure},
		front: pids,
	}, nil
}

func listen(addr string) string { return fmt.Sprintf("listen %s backlog=4096;", addr) }

// nginx runs an instance in a folder of its own and returns the process ids
// of master and workers once it listens at addr.
func (f *field) nginx(ctx context.Context, name, addr string, processes int, config string) ([]int, error) {
	dir := filepath.Join(f.dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n" // only root may say whom workers run as
	}
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, nginxMain, user, dir, config, processes), 0o644); err != nil {
		return nil, err
	}
	p, err := rig.Start("nginx", nil, "-p", dir, "-e", "stderr", "-c", file)
	if err != nil {
		return nil, err
	}
	f.children = append(f.children, p)
	if err := listening(ctx, p, addr); err != nil {
		return nil, err
	}
	return workers(ctx, p, processes)
}

// workers returns the master and its n workers, which it starts after it
// listens: without them nginx would seem to take no CPU.
func workers(ctx context.Context, p *rig.Process, n int) ([]int, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		pids, err := family(p.Pid())
		if err != nil || len(pids) > n {
			return pids, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("nginx has %d processes instead of a master and %d workers", len(pids), n)
		}
	}
}

// listening waits until addr accepts, at most 5 s.
func listening(ctx context.Context, p *rig.Process, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if conn, err := net.Dial("tcp", addr); err == nil {
			return conn.Close()
		}
		select {
		case <-tick.C:
		case <-p.Done():
			return fmt.Errorf("what should listen at %s ended\n%s", addr, p.Log())
		case <-ctx.Done():
			return fmt.Errorf("nothing listens at %s: %w\n%s", addr, ctx.Err(), p.Log())
		}
	}
}
