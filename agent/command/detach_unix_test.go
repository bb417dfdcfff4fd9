//go:build unix

package command

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What stdin was leads nowhere once the starter has ended, and its number is no
// connection's.
func TestStarterEnds(t *testing.T) {
	starter, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fd := int(starter.Fd())
	d := new(detaching)
	d.parted.Store(true)
	d.mind(starter, func() { t.Error("an agent ends that its starter knows of") })
	w.Close()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); ; <-tick.C {
		var s unix.Stat_t
		if err := unix.Fstat(fd, &s); err != nil {
			t.Fatalf("the number is free: %v", err)
		}
		if s.Mode&unix.S_IFMT == unix.S_IFCHR {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is still a file of mode %o", s.Mode)
		}
	}
	if n, err := unix.Read(fd, make([]byte, 1)); n != 0 || err != nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
}
