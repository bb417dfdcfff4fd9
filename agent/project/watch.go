package project

import (
	"bytes"
	"context"
	"os"
	"time"
)

// look is the time between looks at a file. What changes twice in that time is
// still being written.
const look = 250 * time.Millisecond

// Watch calls changed with what the file at path has, each time that this is
// another than before, at first than was, until ctx ends. An editor that puts
// another file in its place is seen. One that is half-written is read when it
// has rested for a while. While there is no file, or it cannot be read, changed
// is told once, with the error alone.
func Watch(ctx context.Context, path string, was []byte, changed func(text []byte, err error)) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	var last, settling os.FileInfo // what was read, and what the last look found; nil for none
	lost := false
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		info, err := os.Stat(path)
		if err != nil {
			info = nil
		}
		rested := same(info, settling)
		settling = info
		if !rested || same(info, last) && !lost && info != nil {
			continue
		}
		last = info
		text, err := Read(path)
		if err != nil {
			if !lost {
				lost = true
				changed(nil, err)
			}
			continue
		}
		if lost || !bytes.Equal(text, was) {
			lost, was = false, text
			changed(text, nil)
		}
	}
}

// same reports whether a file is, by what the system says, as it was.
func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}
