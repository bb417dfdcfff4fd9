// Package rig runs the share command from outside, as its users do: a relay
// and agents in processes of their own. The programs under testdata that
// measure and test the whole use it; nothing of the product does.
package rig

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
)

// Build returns the path of a share binary: that of the environment variable
// SHARE_BIN if it is set, else one it builds into dir.
func Build(ctx context.Context, dir string) (string, error) {
	if bin := os.Getenv("SHARE_BIN"); bin != "" {
		return filepath.Abs(bin)
	}
	root, err := root()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "share")
	if runtime.GOOS == "windows" {
		bin += ".exe"
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "urfave_cli_no_docs,noasm", "-ldflags", "-s -w", "-o", bin, ".")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return bin, nil
}

// root is the module's folder: the nearest above the working one that holds
// main.go beside go.mod.
func root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		_, mod := os.Stat(filepath.Join(dir, "go.mod"))
		_, command := os.Stat(filepath.Join(dir, "main.go"))
		if mod == nil && command == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("no folder above has go.mod and main.go; run inside the source tree or set SHARE_BIN")
		}
		dir = up
	}
}

// FreeAddr returns an address of loopback that nothing listens at. Its port is
// below those that connections get (ip(7), ip_local_port_range): one of them
// would take it before a program that is about to listen.
func FreeAddr() (string, error) {
	var err error
	for range 100 {
		var ln net.Listener
		if ln, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(10_000+rand.IntN(20_000)))); err == nil {
			ln.Close()
			return ln.Addr().String(), nil
		}
	}
	return "", fmt.Errorf("find a free port: %w", err)
}
