package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"share/testdata/pebble"
)

// runPebble is the command pebble of scripts: a CA, and the DNS that it looks
// at, until it is killed.
//
//	pebble [-zone DOMAIN=ADDR] [-cname NAME=TARGET] [-tls PORT] [-http PORT] -out DIR
//
// It writes to DIR the certificate of its own URL, api.crt, and the one that
// signs what it issues, root.crt; and to stdout its directory and its DNS
// server.
func runPebble() {
	zone := flag.String("zone", "", "")
	cname := flag.String("cname", "", "")
	httpPort := flag.Int("http", 0, "")
	tlsPort := flag.Int("tls", 0, "")
	out := flag.String("out", "", "")
	flag.Parse()
	pairs := func(text string) map[string]string {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil
		}
		return map[string]string{name: value}
	}
	dns := &pebble.Resolver{Zones: pairs(*zone), CNAMEs: pairs(*cname)}
	addr, err := dns.Start()
	check(err)
	ca, err := pebble.Start(pebble.Config{Resolver: addr, HTTPPort: *httpPort, TLSPort: *tlsPort, ErrorLog: log.New(os.Stderr, "", 0)})
	check(err)
	check(os.MkdirAll(*out, 0o777))
	check(os.WriteFile(filepath.Join(*out, "api.crt"), ca.Identity.PEM, 0o666))
	check(os.WriteFile(filepath.Join(*out, "root.crt"), ca.Root, 0o666))
	fmt.Println("directory", ca.URL)
	fmt.Println("dns", addr)
	select {}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
