package main

import (
	"crypto/tls"
	"net/url"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"share/relay/identity/identitytest"
)

// issuing is a script's issuer of identity tokens.
type issuing struct{ *identitytest.Issuer }

func issuer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: issuer name var")
	}
	pair, err := tls.LoadX509KeyPair(ts.MkAbs(args[0]+".crt"), ts.MkAbs(args[0]+".key"))
	ts.Check(err)
	i := identitytest.New(&pair)
	ts.Defer(i.Close)
	ts.Value("issuer").(*issuing).Issuer = i
	ts.Setenv(args[1], i.URL)
}

func identityToken(ts *testscript.TestScript, neg bool, args []string) {
	i := ts.Value("issuer").(*issuing).Issuer
	if neg || len(args) != 2 || i == nil {
		ts.Fatalf("usage: issuer ..., then idtoken var claims")
	}
	claims, err := url.ParseQuery(args[1])
	ts.Check(err)
	ts.Setenv(args[0], i.Token(identitytest.Claims(claims)))
}

func decide(ts *testscript.TestScript, neg bool, args []string) {
	i := ts.Value("issuer").(*issuing).Issuer
	if neg || len(args) < 1 || len(args) > 2 || i == nil {
		ts.Fatalf("usage: issuer ..., then decide code [claims]")
	}
	var claims map[string]any
	if len(args) == 2 {
		query, err := url.ParseQuery(args[1])
		ts.Check(err)
		claims = identitytest.Claims(query)
		// What people have is more than text.
		if verified, ok := claims["email_verified"]; ok {
			claims["email_verified"] = verified == "true"
		}
		if groups, ok := query["groups"]; ok {
			claims["groups"] = groups
		}
	}
	if !i.Decide(args[0], claims) {
		ts.Fatalf("the issuer has given no code %s", args[0])
	}
}

func misanswer(ts *testscript.TestScript, neg bool, args []string) {
	i := ts.Value("issuer").(*issuing).Issuer
	if neg || len(args) != 3 || i == nil {
		ts.Fatalf("usage: issuer ..., then misanswer path status file")
	}
	status, err := strconv.Atoi(args[1])
	ts.Check(err)
	i.Instead(args[0], status, strings.TrimSpace(ts.ReadFile(args[2])))
}
