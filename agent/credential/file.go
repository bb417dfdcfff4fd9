package credential

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"share/tunnel/cmdline"
)

// maxFile bounds the file: as many logins as there may be, with the longest tokens.
const maxFile = 1 << 20

// read returns what the file at path has, nil if there is no file. One that is not
// the user's alone is a *cmdline.Error.
func read(path string) ([]byte, error) {
	// Without the flag, a named pipe would be waited for.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	const hint = "it has tokens, and must be a file of your own"
	if err != nil {
		return nil, cmdline.Unusable(hint, err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, cmdline.Unusable(hint, err)
	case !info.Mode().IsRegular():
		return nil, cmdline.Unusable(hint, fmt.Errorf("%s is no file", path))
	case !own(info):
		return nil, cmdline.Unusable(hint, fmt.Errorf("%s is another user's", path))
	case info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows": // there, who may read it is not in the mode
		return nil, cmdline.Unusable("run chmod 600 "+path+", and have a token revoked that others may have read",
			fmt.Errorf("%s has tokens, and is open to others, with mode %#o", path, info.Mode().Perm()))
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, cmdline.Unusable(hint, err)
	case len(text) > maxFile:
		return nil, cmdline.Unusable(hint, fmt.Errorf("%s has more than %d bytes", path, maxFile))
	}
	return text, nil
}

// write replaces the file at path at once, for its owner alone. It has reached the
// disk when write returns.
func write(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
