package relay

import (
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Connections have the options that package net gives them.
func TestListenKeepsAlive(t *testing.T) {
	options := func(listen func(string) (net.Listener, error)) (values [5]int) {
		t.Helper()
		ln, err := listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		ours, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer ours.Close()
		theirs, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer theirs.Close()
		raw, err := theirs.(syscall.Conn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) {
			for i, o := range [...][2]int{
				{unix.SOL_SOCKET, unix.SO_KEEPALIVE},
				{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE},
				{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL},
				{unix.IPPROTO_TCP, unix.TCP_KEEPCNT},
				{unix.IPPROTO_TCP, unix.TCP_NODELAY},
			} {
				if values[i], err = unix.GetsockoptInt(int(fd), o[0], o[1]); err != nil {
					t.Fatal(err)
				}
			}
		})
		return values
	}
	got := options(listen)
	want := options(func(addr string) (net.Listener, error) { return net.Listen("tcp", addr) })
	if got != want || got[0] == 0 {
		t.Errorf("keep-alive, idle, interval, probes, no-delay are %v, want %v", got, want)
	}
}
