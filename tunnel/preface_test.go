package tunnel

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// preface is a preface with a body of any kind.
func preface(a, b, kind byte, body string) []byte {
	p := append([]byte(magic), a, b, kind, 0)
	p = binary.BigEndian.AppendUint32(p, uint32(len(body)))
	return append(p, body...)
}

func TestReadHello(t *testing.T) {
	reject := func(c RejectCode) func(error) bool {
		return func(err error) bool {
			e, ok := errors.AsType[*RejectError](err)
			return ok && e.Code == c && e.Message != ""
		}
	}
	is := func(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }
	text := func(want string) func(error) bool {
		return func(err error) bool { return err != nil && strings.Contains(err.Error(), want) }
	}
	tests := []struct {
		name  string
		bytes []byte
		want  func(error) bool
	}{
		{"usual", preface(1, 1, 1, `{"token":"t"}`), nil},
		{"a lane", preface(1, 1, 2, `{"session":"s"}`), nil},
		{"versions to come", preface(1, 9, 3, `{"mood":"fine"}`), nil},
		{"line ends behind the JSON", preface(1, 1, 1, "{}\r\n\r\n"), nil},
		{"nothing", nil, is(io.EOF)},
		{"part of the magic", []byte("SHR"), is(io.ErrUnexpectedEOF)},
		{"HTTP", []byte("GET / HTTP/1.1\r\n\r\n"), is(ErrNotRelay)},
		{"magic alone", []byte(magic), text("read preface")},
		{"cut header", preface(1, 1, 1, "{}")[:9], is(io.ErrUnexpectedEOF)},
		{"cut body", preface(1, 1, 1, "{}")[:13], is(io.ErrUnexpectedEOF)},
		{"too long", preface(1, 1, 1, strings.Repeat(" ", maxPreface+1)), text("preface of 8193 bytes exceeds 8192")},
		{"far too long", append(preface(1, 1, 1, "")[:8], 0xff, 0xff, 0xff, 0xff), text("exceeds 8192")},
		{"a version that has gone", preface(0, 0, 1, "{}"), reject(RejectVersion)},
		{"a version to come", preface(2, 3, 1, "{}"), reject(RejectVersion)},
		{"unknown kind", preface(1, 1, 5, "{}"), reject(RejectProtocol)},
		{"no kind", preface(1, 1, 0, "{}"), reject(RejectProtocol)},
		{"no JSON", preface(1, 1, 1, "?"), reject(RejectProtocol)},
		{"empty", preface(1, 1, 1, ""), reject(RejectProtocol)},
		{"JSON of another type", preface(1, 1, 1, `{"token":[]}`), reject(RejectProtocol)},
		{"deep JSON", preface(1, 1, 1, strings.Repeat("[", maxPreface)), reject(RejectProtocol)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, r := net.Pipe()
			defer r.Close()
			go func() {
				a.Write(tt.bytes)
				if tt.want == nil {
					a.Write([]byte("next"))
				}
				a.Close()
			}()
			before := spent()
			h, err := ReadHello(r)
			before.below(t, 5, 2)
			if tt.want != nil {
				if !tt.want(err) {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil || h == nil {
				t.Fatalf("hello %+v, %v", h, err)
			}
			if rest, err := io.ReadAll(r); string(rest) != "next" || err != nil {
				t.Errorf("behind the preface %q, %v: not one byte more may be read", rest, err)
			}
		})
	}
}

func TestReadWelcome(t *testing.T) {
	tests := []struct {
		name  string
		bytes []byte
		want  string // of the error
	}{
		{"usual", preface(1, 0, 1, `{"session":"s"}`), ""},
		{"refused", preface(1, 1, 0, `{"code":"token","message":"no"}`), "relay refused: no"},
		{"refused without words", preface(1, 1, 0, `?`), "read preface"},
		{"unknown status", preface(1, 9, 0, `{"message":"no"}`), "relay refused: no"},
		{"another version", preface(2, 0, 1, `{}`), "relay chose version 2"},
		{"no JSON", preface(1, 0, 1, `?`), "read preface"},
		{"HTTP", []byte("HTTP/1.1 400 Bad Request\r\n"), ErrNotRelay.Error()},
		{"too long", preface(1, 0, 1, strings.Repeat(" ", maxPreface+1)), "exceeds 8192"},
		{"cut", preface(1, 0, 1, `{}`)[:13], "unexpected EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			w, err := readWelcome(bytes.NewReader(tt.bytes))
			if err != nil {
				got = err.Error()
			} else if w.Version != Version {
				t.Errorf("welcome %+v", w)
			}
			if !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") {
				t.Errorf("error %q, want %q", got, tt.want)
			}
		})
	}
}

// The whole of a preface takes five seconds, however its bytes trickle.
func TestSlowPreface(t *testing.T) {
	for name, step := range map[string]time.Duration{"silent": time.Hour, "trickling": 700 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, r := net.Pipe()
				over := make(chan bool)
				defer close(over)
				go func() {
					for _, b := range preface(1, 1, 1, "{}") {
						if _, err := a.Write([]byte{b}); err != nil {
							return
						}
						select {
						case <-time.After(step):
						case <-over:
							return
						}
					}
				}()
				start := time.Now()
				_, err := ReadHello(r)
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("error %v", err)
				}
				if d := time.Since(start); d != prefaceTimeout {
					t.Errorf("it took %v, want %v", d, prefaceTimeout)
				}
				r.Close()
			})
		})
	}
}

// A refusal costs nothing: the multiplexer begins once the relay says so.
func TestNothingBeforeWelcome(t *testing.T) {
	a, r := connPair(t)
	defer r.Close()
	defer a.Close()
	before := spent()
	hello, err := appendHello(&Hello{Kind: KindSession, Token: "wrong"})
	if err != nil {
		t.Fatal(err)
	}
	pings := bytes.Repeat(muxFrame(muxPing, muxSYN, 0, 0), 1000)
	flooded := make(chan bool)
	go func() {
		defer close(flooded)
		a.Write(hello)
		for range 1000 {
			if _, err := a.Write(pings); err != nil {
				return
			}
		}
	}()
	h, err := ReadHello(r)
	if err != nil || h.Token != "wrong" {
		t.Fatalf("hello %+v, %v", h, err)
	}
	if err := Reject(r, &RejectError{Code: RejectToken, Message: "unknown token"}); err != nil {
		t.Error(err)
	}
	before.below(t, 5, 4)
	r.Close()
	<-flooded
}

func TestLook(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func(net.Conn) error
		want   string // the account, or the error
	}{
		{"taken", func(c net.Conn) error { return (&Welcome{Relay: "id", Account: "ci"}).Write(c, KindProbe) }, "ci"},
		{"refused", func(c net.Conn) error { return Reject(c, &RejectError{Code: RejectToken, Message: "bad token"}) }, "relay refused: bad token"},
		{"no relay", func(c net.Conn) error { _, err := io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n"); return err }, ErrNotRelay.Error()},
		{"closed", func(c net.Conn) error { return nil }, "read preface: EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, r := connPair(t)
			answered := make(chan struct{})
			go func() {
				defer close(answered)
				defer r.Close()
				h, err := ReadHello(r)
				if err != nil || h.Kind != KindProbe || h.Token != "x" {
					t.Errorf("hello %+v, %v", h, err)
				}
				if err := tt.answer(r); err != nil {
					t.Error(err)
				}
			}()
			w, err := Look(context.Background(), a, Hello{Token: "x"})
			got := ""
			if err != nil {
				got = err.Error()
			} else {
				got = w.Account
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			<-answered
			if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the connection is left open: %v", err)
			}
		})
	}
}

// A relay that does not answer is not waited for once the context has ended.
func TestLookEndsWithItsContext(t *testing.T) {
	a, r := connPair(t)
	defer r.Close()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		ReadHello(r)
		cancel()
	}()
	if _, err := Look(ctx, a, Hello{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestPrefaceIsBounded(t *testing.T) {
	if _, err := appendHello(&Hello{Token: strings.Repeat("x", maxPreface)}); err == nil {
		t.Error("a preface that no relay takes is sent")
	}
}

func TestIsPreface(t *testing.T) {
	for s, want := range map[string]bool{
		"SHR1\x01": true, "SHR1\x1f....": true, "SHR1": false, "": false,
		"SHR1 /x HTTP/1.1": false, "GET / HTTP/1.1": false, "\x16\x03\x01\x00\xa5": false,
	} {
		if got := IsPreface([]byte(s)); got != want {
			t.Errorf("IsPreface(%q) = %v", s, got)
		}
	}
}

// What comes first may be on its way before the relay has answered.
func TestBindComesWithThePreface(t *testing.T) {
	a, r := connPair(t)
	bound := make(chan error, 1)
	go func() {
		if _, err := ReadHello(r); err != nil {
			bound <- err
			return
		}
		// BIND is here although nothing was answered.
		b := make([]byte, 1)
		if _, err := io.ReadFull(r, b); err != nil {
			bound <- err
			return
		}
		s, err := Accept(unreader{r, bytes.NewReader(b)}, &Welcome{})
		if err != nil {
			bound <- err
			return
		}
		go s.Serve(context.Background(), nil)
		m, err := s.Receive(context.Background())
		if b, ok := m.(*Bind); !ok || b.Name != "x" {
			t.Errorf("message %+v", m)
		}
		bound <- err
		<-s.Done()
	}()
	agent, err := Connect(context.Background(), a, Hello{}, &Bind{Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	served(t, agent, answer)
	if err := within(t, "BIND", bound); err != nil {
		t.Error(err)
	}
}

// An unreader gives bytes back to a connection.
type unreader struct {
	net.Conn
	first *bytes.Reader
}

func (u unreader) Read(p []byte) (int, error) {
	if u.first.Len() > 0 {
		return u.first.Read(p)
	}
	return u.Conn.Read(p)
}
