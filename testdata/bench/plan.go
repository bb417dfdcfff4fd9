package main

import "time"

// plan is how much is measured.
type plan struct {
	Routes []string
	Rounds int           // medians are of this many
	Fewer  int           // those of most trials, of this many
	Load   time.Duration // length of one load, whole seconds
	Warm   time.Duration // load before it that is not counted; whole seconds, 0 for none
	Bulk   int64         // bytes of one large transfer
	Part   int64         // bytes of each of 16 transfers at once
	Far    int64         // bytes of one transfer over a long link
	Wait   time.Duration // how much of it is waited for
	Beside time.Duration // of small requests beside bulk transfers
	Tries  int           // starts and restarts
	Agents int           // idle ones
	Idle   time.Duration // for which they are looked at
	Small  bool          // leave out the trials marked full
}

// fullPlan is what the published table comes from: about 12 minutes.
func fullPlan() plan {
	return plan{
		Routes: routeNames(),
		Rounds: 5,
		Fewer:  3,
		Load:   4 * time.Second,
		Warm:   time.Second,
		Bulk:   1 << 30,
		Part:   128 << 20,
		Far:    1 << 30,
		Wait:   3 * time.Second,
		Beside: 5 * time.Second,
		Tries:  7,
		Agents: 10_000,
		Idle:   time.Minute,
	}
}

// smallPlan takes about a minute and shows where things stand.
func smallPlan() plan {
	return plan{
		Routes: []string{plainLink, tlsLink, baseline},
		Rounds: 1,
		Fewer:  1,
		Load:   time.Second,
		Bulk:   256 << 20,
		Part:   32 << 20,
		Far:    128 << 20,
		Wait:   time.Second,
		Beside: time.Second,
		Tries:  1,
		Agents: 1000,
		Idle:   2 * time.Second,
		Small:  true,
	}
}
