package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"share/testdata/bench/hold"
)

const (
	// holdCommand, as the first argument, makes this program hold idle
	// agents: RELAY CA SOURCE FIRST COUNT.
	holdCommand = "hold-idle-agents"

	// heldLine is what it then writes when all have their names.
	heldLine = "held"
)

// holdIdle holds idle agents until a signal ends ctx. An error says that not
// all had their names until then.
func holdIdle(ctx context.Context, args []string) error {
	if len(args) != 5 {
		return fmt.Errorf("%s: %d arguments instead of 5", holdCommand, len(args))
	}
	text, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}
	ca := x509.NewCertPool()
	ca.AppendCertsFromPEM(text)
	first, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	count, err := strconv.Atoi(args[4])
	if err != nil {
		return err
	}
	if err := allowFiles(count + 100); err != nil {
		return err
	}
	h, err := hold.Open(ctx, hold.Config{
		Relay:  args[0],
		CA:     ca,
		Source: args[2],
		Name:   "idle-" + args[3],
		Count:  count,
		Token:  func(i int) string { return fmt.Sprintf("token-%d", (first+i)/accountNames) },
	})
	if err != nil {
		return err
	}
	fmt.Println(heldLine)
	<-ctx.Done()
	lost := h.Lost()
	h.Close()
	if lost > 0 {
		return fmt.Errorf("%d of %d sessions were lost", lost, count)
	}
	return nil
}

// allowFiles lets this process, and those that it starts, have n descriptors.
func allowFiles(n int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	if limit.Cur >= uint64(n) && limit.Max >= uint64(n) {
		// Go has raised its own limit but not that of its children.
		return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
	limit.Cur, limit.Max = uint64(n), max(limit.Max, uint64(n))
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return errors.Join(fmt.Errorf("%d open files are needed: raise ulimit -n", n), err)
	}
	return nil
}
