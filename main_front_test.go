package main

import (
	"crypto/tls"
	"encoding/base64"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"share/testdata/bench/rig"
)

// front serves as a front that speaks nothing but HTTP.
func front(ts *testscript.TestScript, neg bool, args []string) {
	name := ""
	if len(args) > 1 && args[0] == "-tls" {
		name, args = args[1], args[2:]
	}
	if neg || len(args) != 2 {
		ts.Fatalf("usage: front [-tls name] var port")
	}
	back := &url.URL{Scheme: "http", Host: net.JoinHostPort("127.0.0.1", args[1])}
	quiet := log.New(io.Discard, "", 0)
	passing := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(back)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		Transport: &http.Transport{DisableKeepAlives: true},
		ErrorLog:  quiet,
	}
	between(ts, args[0], name, quiet, passing)
}

// proxy serves as a proxy that resolves every name to the same port.
func proxy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: proxy var port user:password")
	}
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(args[2]))
	between(ts, args[0], "", log.New(io.Discard, "", 0), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Proxy-Authorization") != want {
			w.Header().Set("Proxy-Authenticate", "Basic")
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		rig.Connect(w, r, net.JoinHostPort("127.0.0.1", args[1]))
	}))
}

// between serves h, over TLS if a certificate is named, and sets a variable to
// its port. When the script ends, so has all that went through it.
func between(ts *testscript.TestScript, variable, certificate string, errors *log.Logger, h http.Handler) {
	var wg sync.WaitGroup
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wg.Add(1)
		defer wg.Done()
		h.ServeHTTP(w, r)
	}))
	srv.Config.ErrorLog = errors
	if certificate == "" {
		srv.Start()
	} else {
		pair, err := tls.LoadX509KeyPair(ts.MkAbs(certificate+".crt"), ts.MkAbs(certificate+".key"))
		ts.Check(err)
		srv.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
		srv.StartTLS()
	}
	ts.Defer(func() {
		srv.Close()
		wg.Wait()
	})
	ts.Setenv(variable, port(srv.Listener.Addr()))
}
