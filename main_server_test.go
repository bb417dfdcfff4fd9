package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

// runServer is a server that scripts share: server PORT. It says what it finds in
// its environment, on /exit/N ends with N, and after SIGTERM, SIGHUP or SIGQUIT with 3; /gate
// is answered after /release. What it reads is said, too.
func runServer() {
	for _, name := range []string{"SHARE_URL", "SHARE_TOKEN", "SHARE_TOKEN_FILE", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"} {
		fmt.Printf("server has %s=%s\n", name, os.Getenv(name))
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	go func() {
		sig := <-signals
		fmt.Fprintf(os.Stderr, "server got %v\n", sig)
		os.Exit(3)
	}()
	go func() {
		if b, err := io.ReadAll(os.Stdin); len(b) > 0 || err != nil {
			fmt.Printf("server read %q, %v\n", b, err)
		}
	}()
	ln, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	release := make(chan struct{}, 1)
	err = http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/gate":
			fmt.Println("server holds a request for", r.RequestURI)
			<-release
		case "/release":
			release <- struct{}{}
		}
		if code, ok := strings.CutPrefix(r.URL.Path, "/exit/"); ok {
			n, _ := strconv.Atoi(code)
			os.Exit(n)
		}
		echo(w, r)
	}))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
