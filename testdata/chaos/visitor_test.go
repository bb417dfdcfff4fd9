//go:build unix

package chaos

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"share/testdata/bench/rig"
)

// TestVisitorAndTarget has both meet without anything between them but the
// link: everything succeeds, and the ledgers join.
func TestVisitorAndTarget(t *testing.T) {
	addr, err := rig.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	link, err := NewLink(addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ledger := filepath.Join(t.TempDir(), "ledger")
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := ServeTarget(ctx, addr, ledger, nil); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		if err := link.Serve(ctx); err != nil {
			t.Error(err)
		}
	})
	defer wg.Wait()
	defer stop()
	for deadline := time.Now().Add(30 * time.Second); ; pause(ctx, time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the target does not listen: %v", err)
		}
	}

	v := &Visitor{Addr: link.Addr(), Host: "x"}
	defer v.Close()
	var visits []Exchange
	for id := range 300 {
		e := v.Do(t.Context(), NewPlan(7, id))
		if e.Outcome != Whole && e.Outcome != Left {
			t.Errorf("%s: %s", describe(e), e.Detail)
		}
		visits = append(visits, e)
	}
	file, err := os.Open(ledger)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	entries, err := ReadEntries(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range Join(visits, entries, nil) {
		t.Error(f)
	}
}

// TestVisitorJudges shows answers, each ended by FIN, to a visitor that asked
// for a body of some length.
func TestVisitorJudges(t *testing.T) {
	p := plan(t, "GET", false)
	p.Minor, p.Size, p.Frame, p.ID = 1, 4, Length, 5
	body, err := io.ReadAll(p.Body())
	if err != nil {
		t.Fatal(err)
	}
	whole := string(body)
	const mine = "X-Exchange: 5\r\n"
	for _, test := range []struct {
		name, answer string
		want         Outcome
	}{
		{"whole", "HTTP/1.1 200 OK\r\n" + mine + "Content-Length: 4\r\n\r\n" + whole, Whole},
		{"interim first", "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n" + mine + "Content-Length: 4\r\n\r\n" + whole, Whole},
		{"empty", "HTTP/1.1 200 OK\r\n" + mine + "Content-Length: 0\r\n\r\n", Wrong},
		{"short and clean", "HTTP/1.1 200 OK\r\n" + mine + "Connection: close\r\n\r\n" + whole[:3], Wrong},
		{"long", "HTTP/1.1 200 OK\r\n" + mine + "Content-Length: 5\r\n\r\n" + whole + "x", Wrong},
		{"other bytes", "HTTP/1.1 200 OK\r\n" + mine + "Content-Length: 4\r\n\r\nnone", Wrong},
		{"another's", "HTTP/1.1 200 OK\r\nX-Exchange: 6\r\nContent-Length: 4\r\n\r\n" + whole, Wrong},
		{"cut", "HTTP/1.1 200 OK\r\n" + mine + "Content-Length: 4\r\n\r\n" + whole[:3], Cut},
		{"cut in chunks", "HTTP/1.1 200 OK\r\n" + mine + "Transfer-Encoding: chunked\r\n\r\n3\r\n" + whole[:3] + "\r\n", Cut},
		{"refused", "HTTP/1.1 502 Bad Gateway\r\nShare-Error: link_lost\r\nProxy-Status: share-relay; error=x\r\nContent-Length: 0\r\n\r\n", Refused},
		{"nameless", "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", Nameless},
		{"cause in a success", "HTTP/1.1 200 OK\r\n" + mine + "Share-Error: link_lost\r\nContent-Length: 4\r\n\r\n" + whole, Wrong},
		{"no head", "HTTP/1.1 200 OK\r\n", Lost},
		{"nothing", "", Lost},
	} {
		t.Run(test.name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			var wg sync.WaitGroup
			defer wg.Wait()
			wg.Go(func() {
				if err := answerOnce(ln, test.answer); err != nil {
					t.Error(err)
				}
			})
			v := &Visitor{Addr: ln.Addr().String(), Host: "x"}
			defer v.Close()
			if got := v.Do(t.Context(), p); got.Outcome != test.want {
				t.Errorf("%s (%s), want %s", got.Outcome, got.Detail, test.want)
			}
		})
	}
}

// answerOnce takes one request's head, gives an answer and a FIN.
func answerOnce(ln net.Listener, answer string) error {
	conn, err := ln.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		if strings.TrimSpace(line) == "" {
			break
		}
	}
	_, err = io.WriteString(conn, answer)
	return errors.Join(err, conn.(*net.TCPConn).CloseWrite())
}
