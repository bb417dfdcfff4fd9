package admin

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"runtime/pprof"
)

// runtimeMetrics are the runtime's own numbers, under the names that Prometheus's
// client library for Go gives them.
var runtimeMetrics = [...]struct{ source, name, kind, help string }{
	{"/sched/goroutines:goroutines", "go_goroutines", "gauge", "Goroutines that there are."},
	{"/sched/gomaxprocs:threads", "go_sched_gomaxprocs_threads", "gauge", "Threads that may run Go code at a time."},
	{"/memory/classes/heap/objects:bytes", "go_memstats_alloc_bytes", "gauge", "Bytes of objects in the heap."},
	{"/gc/heap/objects:objects", "go_memstats_heap_objects", "gauge", "Objects in the heap."},
	{"/memory/classes/heap/stacks:bytes", "go_memstats_stack_inuse_bytes", "gauge", "Bytes of stacks."},
	{"/gc/heap/goal:bytes", "go_memstats_next_gc_bytes", "gauge", "Bytes of the heap at the next collection."},
	{"/gc/heap/allocs:bytes", "go_memstats_alloc_bytes_total", "counter", "Bytes that were allocated."},
	{"/gc/heap/allocs:objects", "go_memstats_mallocs_total", "counter", "Objects that were allocated."},
}

// exposeRuntime adds the runtime's metrics.
func exposeRuntime(e *exposition) {
	samples := make([]metrics.Sample, len(runtimeMetrics))
	for i := range samples {
		samples[i].Name = runtimeMetrics[i].source
	}
	metrics.Read(samples)
	for i, m := range runtimeMetrics {
		if samples[i].Value.Kind() == metrics.KindUint64 {
			e.family(m.name, m.kind, m.help)
			e.sample(float64(samples[i].Value.Uint64()))
		}
	}
	e.family("go_info", "gauge", "1, for the version of Go.")
	e.sample(1, "version", runtime.Version())
	e.gauge("go_threads", "Threads that were made.", float64(pprof.Lookup("threadcreate").Count()))
	var gc debug.GCStats
	debug.ReadGCStats(&gc)
	e.family("go_gc_duration_seconds", "summary", "How long collections have stopped the world.")
	e.suffixed("_sum", gc.PauseTotal.Seconds())
	e.suffixed("_count", float64(gc.NumGC))
}

// memoryUsed is what the runtime holds to debug.SetMemoryLimit.
func memoryUsed() uint64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64() - samples[1].Value.Uint64()
}
