//go:build linux

package deploy

import (
	"context"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A port is one at which a relay of the documents listens. It is another here,
// as those may be somebody's, and is opened for the relay as systemd would: with
// a name, which is that of the flag that the relay has for it.
type port struct {
	name string
	addr string
	file *os.File
}

type ports []port

// openPorts opens the ports until the test ends. Who connects waits for a relay
// that is given them.
func openPorts(t *testing.T) (all ports) {
	t.Helper()
	for _, p := range []struct {
		name string
		kind int
	}{
		{"https", unix.SOCK_STREAM}, {"redirect", unix.SOCK_STREAM}, {"http", unix.SOCK_STREAM}, {"admin", unix.SOCK_STREAM},
		{"dns", unix.SOCK_STREAM}, {"dns", unix.SOCK_DGRAM},
	} {
		fd, err := unix.Socket(unix.AF_INET, p.kind|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		file := os.NewFile(uintptr(fd), p.name)
		t.Cleanup(func() { file.Close() })
		err = unix.Bind(fd, &unix.SockaddrInet4{}) // at all addresses, as the documents have it
		if err == nil && p.kind == unix.SOCK_STREAM {
			err = unix.Listen(fd, unix.SOMAXCONN)
		}
		if err != nil {
			t.Fatal(err)
		}
		at, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, port{p.name, net.JoinHostPort("127.0.0.1", strconv.Itoa(at.(*unix.SockaddrInet4).Port)), file})
	}
	return all
}

// addr is where the first port of a name is.
func (p ports) addr(name string) string {
	for _, one := range p {
		if one.name == name {
			return one.addr
		}
	}
	return ""
}

// number is that of the port in addr.
func (p ports) number(name string) int {
	_, text, _ := net.SplitHostPort(p.addr(name))
	n, _ := strconv.Atoi(text)
	return n
}

// of returns the ports at which the relay listens that a command starts, and
// their names as systemd tells them. What systemctl starts has all that it may
// want.
func (p ports) of(text string) (files []*os.File, names string) {
	var all []string
	for _, one := range p {
		how := "systemctl |--" + one.name + " :"
		switch one.name {
		case "http", "admin":
			how = "--" + one.name + " :"
		case "https", "redirect":
			how += "|--email |SHARE_EMAIL="
		case "dns":
			how += "|SHARE_DNS="
		}
		if regexp.MustCompile(how).MatchString(text) {
			files, all = append(files, one.file), append(all, one.name)
		}
	}
	return files, strings.Join(all, ":")
}

// toLoopback dials this machine, whichever host is asked for.
func toLoopback(dial func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		return dial(ctx, network, net.JoinHostPort("127.0.0.1", port))
	}
}
