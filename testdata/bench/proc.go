package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the times in /proc/PID/stat: USER_HZ, 100 on every
// architecture that Go's Linux ports run on.
const tick = 10 * time.Millisecond

// cpu is the user and system time that the processes have taken.
func cpu(pids ...int) (time.Duration, error) {
	var sum time.Duration
	for _, pid := range pids {
		fields, err := stat(pid)
		if err != nil {
			return 0, err
		}
		for _, field := range fields[11:13] { // utime, stime: proc(5)
			n, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read /proc/%d/stat: %w", pid, err)
			}
			sum += time.Duration(n) * tick
		}
	}
	return sum, nil
}

// stat is the fields of /proc/PID/stat from the state on, which is the first
// after the command's name in brackets.
func stat(pid int) ([]string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, fmt.Errorf("read times of process %d: %w", pid, err)
	}
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 13 {
		return nil, fmt.Errorf("read /proc/%d/stat: %d fields", pid, len(fields))
	}
	return fields, nil
}

// family is a process and its children.
func family(parent int) ([]int, error) {
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	pids := []int{parent}
	for _, entry := range entries {
		pid, err := strconv.Atoi(filepath.Base(entry))
		if err != nil {
			continue
		}
		fields, err := stat(pid)
		if err == nil && fields[1] == strconv.Itoa(parent) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// forgetPeak sets the peak of each process's memory to what it has now.
func forgetPeak(pids ...int) error {
	for _, pid := range pids {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
			return fmt.Errorf("reset peak memory: %w", err)
		}
	}
	return nil
}

// peak is the sum of the processes' peaks of resident memory in MiB.
func peak(pids ...int) (float64, error) {
	kib, err := memory("VmHWM:", pids...)
	return kib / 1024, err
}

// resident is the sum of the processes' resident memory in KiB.
func resident(pids ...int) (float64, error) { return memory("VmRSS:", pids...) }

// memory adds a line of /proc/PID/status up, in KiB (proc(5)).
func memory(line string, pids ...int) (float64, error) {
	var sum float64
	for _, pid := range pids {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return 0, fmt.Errorf("read memory of process %d: %w", pid, err)
		}
		_, rest, _ := strings.Cut(string(data), line)
		number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		kib, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return 0, fmt.Errorf("read /proc/%d/status: %s %w", pid, line, err)
		}
		sum += kib
	}
	return sum, nil
}

// machine says in one line what the figures were measured on.
func machine() string {
	model := "unknown processor"
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(data), "model name"); ok {
			line, _, _ := strings.Cut(rest, "\n")
			model = strings.TrimSpace(strings.TrimLeft(line, "\t :"))
		}
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		kernel = []byte("unknown")
	}
	version, err := exec.Command("nginx", "-v").CombinedOutput()
	if err != nil {
		version = []byte("nginx of unknown version")
	}
	nginx := strings.TrimPrefix(strings.TrimSpace(string(version)), "nginx version: ")
	return fmt.Sprintf("%s, %d cores, Linux %s, %s, %s", model, runtime.NumCPU(), bytes.TrimSpace(kernel), runtime.Version(), nginx)
}
