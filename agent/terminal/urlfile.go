package terminal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// A URLFile is a file that holds URLs while they work. Its methods are safe for
// concurrent use.
type URLFile struct {
	Path string // empty if there is none

	mu     sync.Mutex
	text   string      // what it was given last; guarded by mu
	own    os.FileInfo // of the file with that, nil if there is none; guarded by mu
	closed bool        // guarded by mu
}

// Keep has the file hold text and a newline, or not be there if text is empty. A file
// that another process has put there since is left to that.
func (f *URLFile) Keep(text string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keep(text)
}

// Close has the file not be there, and keeps no more: who does may be held up, and
// come late.
func (f *URLFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() { f.closed = true }()
	return f.keep("")
}

// keep is for who holds mu, by which one writes at a time.
func (f *URLFile) keep(text string) (err error) {
	own := f.own
	switch {
	case f.Path == "" || f.closed || text == f.text && (text == "" || exists(f.Path)):
		return nil
	case text == "":
		err = f.remove()
	default:
		own, err = writeURL(f.Path, text)
	}
	if err != nil {
		return fmt.Errorf("--url-file: %w", err)
	}
	f.text, f.own = text, own
	return nil
}

// exists reports whether there is something at path: the next command with the same
// file clears it, and may end at once.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// remove removes the file if it is the own one. The text says nothing of that: the
// next agent with a name has the same URL.
func (f *URLFile) remove() error {
	info, err := os.Lstat(f.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !os.SameFile(info, f.own) || !info.ModTime().Equal(f.own.ModTime()): // systems use a file's number again
		return nil
	}
	return os.Remove(f.Path)
}

// WriteURL puts url and a newline into the file at path: whoever looks sees
// the whole line or the file as it was before.
func WriteURL(path, url string) error {
	_, err := writeURL(path, url)
	return err
}

func writeURL(path, url string) (own os.FileInfo, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.WriteString(url + "\n")
	if err == nil {
		err = f.Chmod(0o644) // a URL is made to be read by others, a job's next step among them
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, err
	}
	if own, err = stat(f.Name()); err != nil {
		return nil, err
	}
	return own, os.Rename(f.Name(), path)
}

// stat is os.Stat, but what it returns can be compared once the file has another
// name, on Windows, too.
func stat(path string) (os.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Stat()
}

// ClearURL removes the file at path if there is one, so that an old URL is not
// taken for a new one. Whatever is not a regular file (a device, a link) is
// left alone and is an error, and so is a folder that cannot be written to.
func ClearURL(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
		if err != nil {
			return err
		}
		f.Close()
		os.Remove(f.Name())
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file", path)
	}
	return os.Remove(path)
}
