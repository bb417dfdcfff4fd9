//go:build unix

package faults

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// freeze stops the process as it stands; it goes on after thaw. A thread that
// runs just now may still answer something before it sees the signal, so
// freeze waits until all stand still.
func (p *process) freeze(r *run) {
	r.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		r.Fatalf("freeze: %v", err)
	}
	if !eventually(patience, p.frozen) {
		r.Fatal("freeze: the process goes on")
	}
}

// frozen reports whether no thread of the process runs; it is true where that
// is not told.
func (p *process) frozen() bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.cmd.Process.Pid)) // the pattern is well formed
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		_, state, _ := strings.Cut(string(stat), ") ")
		if err == nil && !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return true
}

func (p *process) thaw() { p.cmd.Process.Signal(syscall.SIGCONT) }

// blackhole returns an address that answers no connect: the queue of its
// listener, which nobody serves, is full.
func (r *run) blackhole() string {
	r.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		r.Fatalf("blackhole: %v", err)
	}
	syscall.CloseOnExec(fd)
	r.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		r.Fatalf("blackhole: %v", err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		r.Fatalf("blackhole: %v", err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		r.Fatalf("blackhole: %v", err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", sa.(*syscall.SockaddrInet4).Port)
	for range 16 {
		c, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
		if err != nil {
			return addr
		}
		r.Cleanup(func() { c.Close() })
	}
	r.Skip("the queue of a listener does not fill up here")
	return ""
}

// memory returns the resident bytes of a process, or 0 where that is not told.
func (p *process) memory() int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kib, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, _ := strconv.ParseInt(kib, 10, 64)
	return n << 10
}
