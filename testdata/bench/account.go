package main

import (
	"slices"
	"time"
)

// spent is what the hops of a route used during a trial.
type spent struct {
	cpu         time.Duration // of all hops
	front, back float64       // peak resident memory, MiB
}

// account runs do and says what it cost the hops of r.
func account(r *route, do func() error) (spent, error) {
	pids := slices.Concat(r.front, r.back, r.aside)
	if err := forgetPeak(pids...); err != nil {
		return spent{}, err
	}
	before, err := cpu(pids...)
	if err != nil {
		return spent{}, err
	}
	if err := do(); err != nil {
		return spent{}, err
	}
	after, err := cpu(pids...)
	if err != nil {
		return spent{}, err
	}
	s := spent{cpu: after - before}
	if s.front, err = peak(r.front...); err != nil {
		return spent{}, err
	}
	s.back, err = peak(r.back...)
	return s, err
}
