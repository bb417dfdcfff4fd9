//go:build linux

package attacks

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// noDescriptors takes more connections than the relay has descriptors for.
func noDescriptors(s *siege) {
	s.agent("victim")
	n := scale(2000, 600)
	conns := make([]net.Conn, n)
	var served, told, closed, other atomic.Int64
	crowd(n, func(i int) {
		nc, err := s.dial("http", i/100)
		if err != nil {
			s.Error(err)
			return
		}
		conns[i] = nc
		nc.SetDeadline(time.Now().Add(patience))
		fmt.Fprint(nc, "GET /ticks HTTP/1.1\r\nHost: victim.localhost\r\n\r\n")
		switch status, cause, err := answer(nc); {
		case err == nil && status == 200:
			served.Add(1)
		case err == nil && status == 503 && cause == "overload":
			told.Add(1)
		case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
			closed.Add(1)
		default:
			s.Errorf("got %d %s, %v", status, cause, err)
			other.Add(1)
		}
	})
	s.Logf("%d were served, %d told that there is no room, %d closed", served.Load(), told.Load(), closed.Load())
	if served.Load() == 0 || told.Load() == 0 {
		s.Errorf("%d were served, %d told that there is no room", served.Load(), told.Load())
	}
	for _, nc := range conns {
		if nc != nil {
			nc.Close()
		}
	}
	s.until("descriptors again", patience, func() bool {
		status, _, err := s.ask("victim", "/", 0)
		return err == nil && status == 200
	})
}

// smallDisk mounts a small disk for the relay's data.
func smallDisk(s *siege) {
	disk := filepath.Join(s.dir, "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		s.Fatal(err)
	}
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=4m"); err != nil {
		s.Skipf("no right to mount a file system: %v", err)
	}
	s.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			s.Error(err)
		}
	})
}

// command runs one of the operator's commands.
func (s *siege) command(args ...string) (string, error) {
	cmd := exec.CommandContext(s.Context(), s.camp.bin, append(append([]string{"relay"}, args...), "--data", filepath.Join(s.dir, "disk", "data"))...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// fullDisk fills the disk: what has to be written down fails and says why, what
// serves goes on.
func fullDisk(s *siege) {
	ballast := filepath.Join(s.dir, "disk", "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		s.Fatal(err)
	}
	for piece := make([]byte, 64<<10); err == nil; {
		if _, err = f.Write(piece); err != nil && len(piece) > 1 {
			piece, err = piece[:len(piece)/2], nil
		}
	}
	f.Close()
	if !errors.Is(err, syscall.ENOSPC) {
		s.Fatal(err)
	}
	long := strings.Repeat("long-", 10)
	var out string
	failed := false
	for i := 0; !failed && i < 300; i++ { // the store's file may have room left
		names := fmt.Sprintf("%s%d-*", long, i)
		out, err = s.command("token", "create", "--label", fmt.Sprint(long, i), "--names", strings.Repeat(names+",", 30)+names)
		failed = err != nil
	}
	if !failed || !strings.Contains(out, "no space left") {
		s.Errorf("a token on a full disk: %v, %q", err, out)
	}
	time.Sleep(2 * time.Second) // under attack
	if out, err := s.command("token", "ls"); err != nil {
		s.Errorf("tokens cannot be listed: %v, %q", err, out)
	}
	if err := os.Remove(ballast); err != nil {
		s.Fatal(err)
	}
	if out, err := s.command("token", "create", "--label", "again"); err != nil {
		s.Errorf("a token when there is room again: %v, %q", err, out)
	}
	if out, err := s.command("name", "reserve", "kept", "--label", "again"); err != nil {
		s.Errorf("a name when there is room again: %v, %q", err, out)
	}
}
