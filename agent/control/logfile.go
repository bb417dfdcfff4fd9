package control

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// maxLog bounds the file of a LogFile; another of that size is kept beside it.
	maxLog = 5 << 20

	// keptLogs is how many files of agents that have ended are kept.
	keptLogs = 20
)

// A LogFile is where an agent in the background logs. When it is full it becomes
// PATH.1, and a new one begins. Its methods are safe for concurrent use.
type LogFile struct {
	Path string

	mu   sync.Mutex
	file *os.File // nil if it could not be opened; guarded by mu
	size int64    // guarded by mu
	max  int64
}

// OpenLog opens the file of this process in the state folder. Of those of agents that
// have ended, the newest stay.
func (p Places) OpenLog() (*LogFile, error) {
	if p.State == "" {
		return nil, errors.New("there is no state folder to log in")
	}
	dir := filepath.Join(p.State, "logs")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of logs: %w", err)
	}
	p.prune(dir)
	l := &LogFile{Path: filepath.Join(dir, strconv.Itoa(os.Getpid())+".log"), max: maxLog}
	// What is there is that of a process that had the same number.
	for _, path := range []string{l.Path, l.Path + ".1"} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if err := l.open(); err != nil {
		return nil, err
	}
	return l, nil
}

// open opens the file anew; mu is held, or nobody else has l.
func (l *LogFile) open() (err error) {
	l.file, err = os.OpenFile(l.Path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	l.size = 0
	return err
}

// Write writes whole lines. What a full disk does not take is lost, and what comes
// later is not.
func (l *LogFile) Write(lines []byte) (n int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil && l.size > 0 && l.size+int64(len(lines)) > l.max {
		l.file.Close()
		l.file = nil
		// If it fails, the old lines give way to the new ones.
		_ = os.Rename(l.Path, l.Path+".1")
	}
	if l.file == nil {
		if err := l.open(); err != nil {
			return 0, err
		}
	}
	n, err = l.file.Write(lines)
	l.size += int64(n)
	return n, err
}

// File is what is written to now. It is the LogFile's.
func (l *LogFile) File() *os.File {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file
}

// Close closes the file, which stays.
func (l *LogFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

// prune removes files of agents that have ended, but for the newest.
func (p Places) prune(dir string) {
	sockets, err := p.sockets()
	if err != nil {
		return // who lives is not known
	}
	lives := map[int]bool{}
	for _, pid := range sockets {
		lives[pid] = true
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	type old struct {
		path  string
		ended time.Time
	}
	var dead []*old
	for _, e := range entries {
		pid, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSuffix(e.Name(), ".1"), ".log"))
		if info, ierr := e.Info(); err == nil && ierr == nil && !lives[pid] {
			dead = append(dead, &old{filepath.Join(dir, e.Name()), info.ModTime()})
		}
	}
	slices.SortFunc(dead, func(a, b *old) int { return cmp.Or(b.ended.Compare(a.ended), cmp.Compare(a.path, b.path)) })
	for _, d := range dead[min(len(dead), keptLogs):] {
		os.Remove(d.path)
	}
}
