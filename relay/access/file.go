package access

import (
	"bytes"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// lookEvery is how often it is looked whether the file is still at its path.
const lookEvery = time.Second

// A plain is an output that is not closed, as standard output.
type plain struct {
	w       io.Writer
	torn    bool // the last write ended inside a line
	missing atomic.Uint64
}

func (p *plain) close() error { return nil }
func (p *plain) lost() uint64 { return p.missing.Load() }

// Write writes lines. One that was cut by a failure is ended before the next.
func (p *plain) Write(lines []byte) (int, error) {
	if p.torn {
		if _, err := p.w.Write([]byte("\n")); err != nil {
			p.missing.Add(uint64(bytes.Count(lines, []byte("\n"))))
			return 0, err
		}
		p.torn = false
	}
	n, err := p.w.Write(lines)
	if n < len(lines) {
		p.torn = n > 0 && lines[n-1] != '\n'
		p.missing.Add(uint64(bytes.Count(lines[n:], []byte("\n"))))
	}
	return n, err
}

// A file is an output that follows its path.
type file struct {
	plain
	path   string
	f      *os.File
	looked time.Time
}

func openFile(path string) (*file, error) {
	f := &file{path: path}
	return f, f.reopen()
}

// fileMode lets a group read: it is who collects logs.
const fileMode = 0o640

// reopen opens what is at the path, or makes it. If that fails, what is open
// stays.
func (f *file) reopen() error {
	next, err := os.OpenFile(f.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, fileMode)
	if err != nil {
		return err
	}
	if f.f != nil {
		f.f.Close()
	}
	f.f, f.w, f.torn, f.looked = next, next, false, time.Now()
	return nil
}

func (f *file) Write(lines []byte) (int, error) {
	var gone error
	if time.Since(f.looked) >= lookEvery && f.moved() {
		gone = f.reopen()
	}
	n, err := f.plain.Write(lines)
	if err == nil {
		err = gone // the lines are where the file was moved
	}
	return n, err
}

// moved reports whether the file is not at its path any more.
func (f *file) moved() bool {
	f.looked = time.Now()
	there, err := os.Stat(f.path)
	if err != nil {
		return true
	}
	ours, err := f.f.Stat()
	return err == nil && !os.SameFile(there, ours)
}

func (f *file) close() error { return f.f.Close() }
