package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"runtime"
	"time"

	"share/tunnel/cmdline"
)

const (
	// needDescriptors is for some thousand visitors at a time, each with a
	// connection of their own.
	needDescriptors = 8192

	// needSpace is for a full database, and what a restore writes beside it.
	needSpace = 512 << 20
)

// Local returns this machine.
func Local() Machine {
	return Machine{
		Lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		},
		Dial:        new(net.Dialer).DialContext,
		Addresses:   ownAddresses,
		Now:         time.Now,
		Synchronous: synchronous,
		Descriptors: descriptors,
		Free:        free,
	}
}

// ownAddresses returns the addresses of the machine's interfaces that others can
// reach.
func ownAddresses() ([]netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var own []netip.Addr
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().IsGlobalUnicast() {
			own = append(own, p.Addr().Unmap())
		}
	}
	return own, nil
}

// checkSocket looks whether the relay takes its operator's commands.
func (d *Doctor) checkSocket(ctx context.Context) cmdline.Result {
	const check cmdline.Check = "socket"
	if d.Data == "" {
		return check.Skipped("a relay without a data folder takes no commands")
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := d.Operate(ctx)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return check.Failed("run share relay doctor as the relay's user", "%v", err)
	case err != nil:
		return check.Failed("start share relay with the same flags", "no relay answers that runs with %s: %v", d.Data, err)
	}
	return check.OK("the relay that runs with %s answers", d.Data)
}

// checkDescriptors looks how many connections a process may have.
func (d *Doctor) checkDescriptors() cmdline.Result {
	const check cmdline.Check = "descriptors"
	limit, err := d.Machine.Descriptors()
	switch {
	case err != nil:
		return check.Skipped("the limit cannot be told: %v", err)
	case limit < needDescriptors:
		return check.Failed("set LimitNOFILE=65536 in the relay's unit, or ulimit -n 65536 where it is started", "a process here may have %d, and each visitor needs one: want %d", limit, needDescriptors)
	}
	return check.OK("a process here may have %d; a unit's LimitNOFILE may say otherwise", limit)
}

// checkFolder looks whether the data folder is the relay's own.
func (d *Doctor) checkFolder() cmdline.Result {
	const check cmdline.Check = "folder"
	if d.Data == "" {
		return check.Skipped("the relay keeps nothing")
	}
	info, err := os.Stat(d.Data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return check.Skipped("%s is made when the relay first starts", d.Data)
	case err != nil:
		return check.Failed("run share relay doctor as the relay's user", "%v", err)
	case !info.IsDir():
		return check.Failed("name a folder with --data", "%s is no folder", d.Data)
	case info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows":
		return check.Failed("chmod 700 "+d.Data, "%s is open to others, with mode %#o", d.Data, info.Mode().Perm())
	}
	probe, err := os.CreateTemp(d.Data, ".doctor.*")
	if err != nil {
		return check.Failed("give it to the relay's user, on a disk that can be written", "%v", err)
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return check.Failed("see the disk", "%v", err)
	}
	return check.OK("%s can be written, and nobody else looks inside", d.Data)
}

// checkSpace looks whether the data folder has room.
func (d *Doctor) checkSpace() cmdline.Result {
	const check cmdline.Check = "disk"
	if d.Data == "" {
		return check.Skipped("the relay keeps nothing")
	}
	bytes, err := d.Machine.Free(d.Data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return check.Skipped("%s is made when the relay first starts", d.Data)
	case err != nil:
		return check.Skipped("the free space of %s cannot be told: %v", d.Data, err)
	case bytes < needSpace:
		return check.Failed("make room, or move the folder to another disk with --data", "%s has %s free: want %s", d.Data, size(bytes), size(needSpace))
	}
	return check.OK("%s has %s free", d.Data, size(bytes))
}

// checkStore looks whether the database is whole.
func (d *Doctor) checkStore(running bool) cmdline.Result {
	const check cmdline.Check = "database"
	switch {
	case d.Data == "":
		return check.Skipped("the relay keeps nothing")
	case running:
		return check.OK("the relay that runs has read it whole when it started")
	}
	err := d.CheckStore()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return check.Skipped("there is none yet")
	case errors.Is(err, ErrBusy):
		return check.Skipped("%v", err)
	case err != nil:
		return check.Failed("move it away, and bring a backup back with share relay restore", "%v", err)
	}
	return check.OK("it is whole")
}

func size(bytes uint64) string {
	if bytes < 1<<30 {
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
}
