package nbio

import (
	"io"
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A large write on loopback is not paced, whatever the system's congestion
// control; small ones cost no system call for that.
func TestUnpace(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() { // ends with the connection
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		io.Copy(io.Discard, c)
	}()
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	c := New(nc).(*Conn)
	control := func(set string) (name string) {
		c.raw.Control(func(fd uintptr) {
			if set != "" {
				err = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, set)
			}
			name, _ = unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION)
		})
		return strings.TrimRight(name, "\x00")
	}
	if before := control(""); before == "reno" {
		if control("cubic"); err != nil {
			t.Skipf("the kernel knows reno alone: %v", err)
		}
	}
	write := func(p, q int) {
		t.Helper()
		if n, err := c.WriteBoth(make([]byte, p), make([]byte, q)); n != p+q || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
	write(paceFrom/2, paceFrom/2-1)
	if got := control(""); got == "reno" {
		t.Error("a small write changes how the connection is paced")
	}
	write(paceFrom/2, paceFrom/2)
	if got := control(""); got != "reno" {
		t.Errorf("a large write is paced by %s", got)
	}
}
