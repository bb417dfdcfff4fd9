package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// answering is a target that answers each request with the bytes of a file, and
// then closes; lines end as in HTTP, %s is the Host that it was asked for. With -h2
// it speaks HTTP/2, and each line of the body is a piece of its own.
func answering(ts *testscript.TestScript, neg bool, args []string) {
	h2 := len(args) > 0 && args[0] == "-h2"
	if h2 {
		args = args[1:]
	}
	if neg || len(args) != 2 {
		ts.Fatalf("usage: answering [-h2] var file")
	}
	text := ts.ReadFile(args[1])
	srv := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h2 {
			answerInLines(w, r, text)
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		io.WriteString(conn, strings.ReplaceAll(strings.ReplaceAll(text, "%s", r.Host), "\n", "\r\n"))
	})}
	srv.Protocols.SetHTTP1(!h2)
	srv.Protocols.SetUnencryptedHTTP2(h2)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	done := make(chan struct{})
	go func() { // ends with the server
		srv.Serve(ln)
		close(done)
	}()
	ts.Defer(func() {
		srv.Close()
		<-done
	})
	ts.Setenv(args[0], port(ln.Addr()))
}

// answerInLines answers with the status and the body of text, a line at a time.
func answerInLines(w http.ResponseWriter, r *http.Request, text string) {
	head, body, _ := strings.Cut(strings.ReplaceAll(text, "%s", r.Host), "\n\n")
	var status int
	fmt.Sscanf(head, "HTTP/1.1 %d", &status)
	w.WriteHeader(status)
	for line := range strings.Lines(body) {
		io.WriteString(w, line)
		http.NewResponseController(w).Flush()
	}
}
