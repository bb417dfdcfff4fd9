// Command bench measures share beside nginx on this machine and prints two
// tables: the way through a relay and an agent, over a plain and over a TLS
// link, next to two chained nginx, one nginx, and the target itself; and what
// is no ratio: long and narrow links, starts, idle agents, allocation. A
// target stands beside each figure that has one, marked where it is missed.
//
// Load, target and what is measured share the machine's cores, so figures are
// to be read as ratios to "nginx two-hop" of the same run. The routes take
// turns in every round; the table shows medians. It runs on Linux, and as
// root it installs nginx, wrk and h2load from Debian when they are missing.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := run
	if len(os.Args) > 1 && os.Args[1] == holdCommand {
		run = func(ctx context.Context) error { return holdIdle(ctx, os.Args[2:]) }
	}
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	p := fullPlan()
	if os.Getenv("BENCH") == "small" {
		p = smallPlan()
	}
	json := flag.String("json", os.Getenv("BENCH_JSON"), "write every sample and the medians to `file`, too")
	routes := flag.String("routes", strings.Join(p.Routes, ","), "measure only these `routes`")
	only := flag.String("only", "", "run only trials whose name matches `regexp`")
	rounds := flag.Int("rounds", 0, fmt.Sprintf("rounds to take the medians of (default %d for 64 connections, %d for the rest)", p.Rounds, p.Fewer))
	flag.DurationVar(&p.Load, "load", p.Load, "how long each load lasts")
	flag.Parse()

	p.Routes = strings.Split(*routes, ",")
	if *rounds > 0 {
		p.Rounds, p.Fewer = *rounds, *rounds
	}
	match, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	if err := install(ctx); err != nil {
		return err
	}
	dir, err := scratch()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	f, err := openField(ctx, dir, p, p.Routes)
	if err != nil {
		return err
	}
	defer f.Close()

	m := machine()
	start := time.Now()
	s, err := measure(ctx, p, f, match)
	if err != nil {
		return err
	}
	fmt.Printf("%s\n%d rounds at 64 connections, %d of the rest, %s a load, %d MiB a transfer, %d idle agents, %s in all\n\n",
		m, p.Rounds, p.Fewer, p.Load, p.Bulk>>20, p.Agents, time.Since(start).Round(time.Second))
	if err := s.tables(os.Stdout, p.Routes); err != nil {
		return err
	}
	if *json != "" {
		return s.writeJSON(*json, m, p)
	}
	return nil
}

// scratch makes the folder for the run's files: in memory where there is a
// file system for that, so that no disk is measured.
func scratch() (string, error) {
	base := "/dev/shm"
	if info, err := os.Stat(base); err != nil || !info.IsDir() {
		base = ""
	}
	dir, err := os.MkdirTemp(base, "share-bench-")
	if err != nil {
		return "", fmt.Errorf("make scratch folder: %w", err)
	}
	// nginx's workers read the target's files as another user.
	return dir, os.Chmod(dir, 0o755)
}
