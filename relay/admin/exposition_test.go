package admin

import (
	"math"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"share/relay/meter"
)

func TestExposition(t *testing.T) {
	var e exposition
	e.gauge("a_bytes", "As of a.", 12)
	e.counter("b_total", "As of b.", 0.25)
	e.family("c", "gauge", "As of c.")
	e.sample(math.MaxInt64, "one", "x", "two", "a\"b\\c\nd\xff")
	e.sample(math.NaN())
	const want = `# HELP a_bytes As of a.
# TYPE a_bytes gauge
a_bytes 12
# HELP b_total As of b.
# TYPE b_total counter
b_total 0.25
# HELP c As of c.
# TYPE c gauge
c{one="x",two="a\"b\\c\nd` + "\xff" + `"} 9.223372036854776e+18
c NaN
`
	if got := string(e.text); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestExpositionOfAHistogram(t *testing.T) {
	var m meter.Meter
	for _, d := range []time.Duration{time.Millisecond, 3 * time.Millisecond, time.Hour} {
		m.Settle(&meter.Exchange{Head: d})
	}
	var e exposition
	e.histogram("h_seconds", "As of h.", m.Head())
	got := string(e.text)
	for _, want := range []string{
		"# TYPE h_seconds histogram\n", `h_seconds_bucket{le="0.001"} 1`, `h_seconds_bucket{le="0.0025"} 1`, `h_seconds_bucket{le="0.005"} 2`,
		`h_seconds_bucket{le="300"} 2`, `h_seconds_bucket{le="+Inf"} 3`, "h_seconds_sum 3600.004", "h_seconds_count 3",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}

// What the process takes is there, and could be true.
func TestExpositionOfTheProcess(t *testing.T) {
	var e exposition
	exposeRuntime(&e)
	exposeProcess(&e)
	got := "\n" + string(e.text)
	wants := []string{`go_goroutines [1-9]\d*`, `go_threads [1-9]\d*`, `go_gc_duration_seconds_count \d+`, `go_memstats_alloc_bytes [1-9]\d{4,}`, `go_memstats_alloc_bytes_total [1-9]\d{4,}`,
		`go_info\{version="go1\.[^"]+"\}`, `go_sched_gomaxprocs_threads [1-9]`, `go_memstats_stack_inuse_bytes [1-9]`, `go_memstats_next_gc_bytes [1-9]`}
	if runtime.GOOS == "linux" {
		wants = append(wants, `process_open_fds [1-9]\d*`, `process_max_fds [1-9]\d+`, `process_resident_memory_bytes [1-9]\d{6,}`, `process_virtual_memory_bytes [1-9]\d{6,}`,
			`process_cpu_seconds_total [0-9.e-]+`)
	}
	for _, want := range wants {
		if !regexp.MustCompile(`\n` + want).MatchString(got) {
			t.Errorf("%s is missing in\n%s", want, got)
		}
	}
	m := regexp.MustCompile(`\nprocess_start_time_seconds (\S+)`).FindStringSubmatch(got)
	if m == nil && runtime.GOOS == "linux" {
		t.Fatal("no start")
	}
	if m != nil && !strings.HasPrefix(m[1], "1") && !strings.HasPrefix(m[1], "2") {
		t.Errorf("it began at %s", m[1])
	}
}
