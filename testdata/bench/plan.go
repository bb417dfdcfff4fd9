package main

import "time"

// plan is how much is measured.
type plan struct {
	Rounds int           // medians are of this many
	Load   time.Duration // length of one load, whole seconds
	Warm   time.Duration // load before it that is not counted
	Bulk   int64         // bytes of one large transfer
	Part   int64         // bytes of each of 16 transfers at once
	Small  bool          // leave out the trials marked full
}

// fullPlan is what the published table comes from: about 15 minutes.
func fullPlan() plan {
	return plan{
		Rounds: 5,
		Load:   4 * time.Second,
		Warm:   time.Second,
		Bulk:   1 << 30,
		Part:   128 << 20,
	}
}

// smallPlan takes about a minute and shows where things stand.
func smallPlan() plan {
	return plan{
		Rounds: 1,
		Load:   2 * time.Second,
		Warm:   time.Second,
		Bulk:   256 << 20,
		Part:   32 << 20,
		Small:  true,
	}
}
