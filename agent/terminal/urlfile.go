package terminal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteURL puts url and a newline into the file at path: whoever looks sees
// the whole line or the file as it was before.
func WriteURL(path, url string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write url file: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
			err = fmt.Errorf("write url file: %w", err)
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
		return err
	}
	return os.Rename(f.Name(), path)
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
			return fmt.Errorf("url file: %w", err)
		}
		f.Close()
		os.Remove(f.Name())
		return nil
	case err != nil:
		return fmt.Errorf("url file: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("url file: %s is no regular file", path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("url file: %w", err)
	}
	return nil
}
