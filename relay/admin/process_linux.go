package admin

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
	"time"
)

// clockTick is the unit of times in /proc (proc(5)): USER_HZ, which is 100 on
// all that Go runs on.
const clockTick = 100

// exposeProcess adds what the system says of the process, under the names that
// all of Prometheus's client libraries have for it. What it does not say is
// missing.
func exposeProcess(e *exposition) {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) == nil {
		took := time.Duration(used.Utime.Nano() + used.Stime.Nano())
		e.counter("process_cpu_seconds_total", "Time of processors, the system's too.", took.Seconds())
	}
	if open, err := os.ReadDir("/proc/self/fd"); err == nil {
		e.gauge("process_open_fds", "Descriptors that are open.", float64(len(open)-1)) // less the one that reads
	}
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		e.gauge("process_max_fds", "Descriptors that may be open.", float64(limit.Cur))
	}
	// Behind the command's name, which may hold anything, fields 3 and on.
	stat, err := os.ReadFile("/proc/self/stat")
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if err != nil || len(fields) < 22 {
		return
	}
	number := func(field int) float64 {
		n, _ := strconv.ParseFloat(string(fields[field-3]), 64) // the kernel's are numbers
		return n
	}
	e.gauge("process_virtual_memory_bytes", "Addresses that are in use.", number(23))
	e.gauge("process_resident_memory_bytes", "Memory that is in use.", number(24)*float64(os.Getpagesize()))
	if boot, ok := bootTime(); ok {
		e.gauge("process_start_time_seconds", "When the process began.", boot+number(22)/clockTick)
	}
}

// bootTime is when the system began, in seconds of Unix time.
func bootTime() (float64, bool) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, false
	}
	for line := range bytes.Lines(b) {
		if text, ok := bytes.CutPrefix(line, []byte("btime ")); ok {
			n, err := strconv.ParseFloat(string(bytes.TrimSpace(text)), 64)
			return n, err == nil
		}
	}
	return 0, false
}
