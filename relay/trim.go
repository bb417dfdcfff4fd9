package relay

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// A relay spends most of its life holding agents that nobody visits. When many
// have just connected, or a load has ended, the heap is full of garbage, which
// stays until as much again was allocated, and then is kept for the next load:
// twice what the agents need. So a relay that has calmed down gives it back.
const (
	// trimEvery is how often memory is looked at.
	trimEvery = 500 * time.Millisecond

	// A relay is calm that has allocated no more than calmBytes, and a
	// calmPart of its live heap for the heartbeats, since the last look.
	calmBytes = 256 << 10
	calmPart  = 256

	// usualPercent is GOGC where nobody sets it.
	usualPercent = 100

	// largePercent is GOGC while more than largeHeap is live, unless the
	// environment sets it: a quarter of that is room enough between two
	// collections for a relay, which allocates little.
	largePercent = 25
	largeHeap    = 32 << 20

	// What is worth a collection: spareBytes, and a sparePart of the live
	// heap, so that its cost stays in proportion.
	spareBytes = 1 << 20
	sparePart  = 32
)

// trim gives memory back whenever the relay is calm, until ctx ends.
func trim(ctx context.Context) {
	set := debug.SetGCPercent(usualPercent)
	debug.SetGCPercent(set)
	ticker := time.NewTicker(trimEvery)
	defer ticker.Stop()
	m := newMemory()
	for now := set; ; {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			debug.SetGCPercent(set)
			return
		}
		due := m.look()
		if p := m.percent(); p != now && set == usualPercent {
			now = p
			debug.SetGCPercent(p)
		}
		if due {
			debug.FreeOSMemory()
		}
	}
}

// A memory is what the runtime says of the heap, in bytes.
type memory struct {
	samples []metrics.Sample
	total   uint64 // allocated by the last look, ever
	live    uint64 // at the last collection
}

func newMemory() *memory {
	return &memory{samples: []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}}
}

// look reports whether memory is to be given back.
func (m *memory) look() bool {
	metrics.Read(m.samples)
	total := m.samples[0].Value.Uint64()
	held := m.samples[2].Value.Uint64() + m.samples[3].Value.Uint64()
	allocated := total - m.total
	m.total, m.live = total, m.samples[1].Value.Uint64()
	return trimDue(allocated, m.live, held)
}

// percent is what GOGC should be.
func (m *memory) percent() int {
	if m.live > largeHeap {
		return largePercent
	}
	return usualPercent
}

// trimDue decides for a relay that has allocated so much since the last look:
// of the bytes that its heap holds so many were live at the last collection.
func trimDue(allocated, live, held uint64) bool {
	return allocated <= calmBytes+live/calmPart && held > live+live/sparePart+spareBytes
}
