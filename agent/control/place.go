package control

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"share/tunnel/local"
)

const (
	// maxAgents bounds how many sockets of a folder are looked at.
	maxAgents = 1000

	// unborn is how old a socket without its name is whose process has died
	// before it could give it one.
	unborn = time.Minute
)

// Places are where the sockets of a user's agents may be. An agent takes the first
// that can be used; who looks for agents looks into all, so that a shell with a
// runtime folder and a job without one see the same.
type Places struct {
	Runtime string // the user's runtime folder, empty if there is none
	State   string // the folder for what outlives a process, likewise
	Temp    string // the folder for what is temporary, which others may share
}

// folders are those that sockets may be in.
func (p Places) folders() (dirs []string) {
	if filepath.IsAbs(p.Runtime) { // another is to be ignored (XDG Base Directory)
		dirs = append(dirs, filepath.Join(p.Runtime, "share"))
	}
	if p.State != "" {
		dirs = append(dirs, filepath.Join(p.State, "run"))
	}
	if p.Temp != "" {
		// It is short, where the others may be too long. Two state folders stay two.
		sum := sha256.Sum256([]byte(p.State))
		dirs = append(dirs, filepath.Join(p.Temp, fmt.Sprintf("share-%d-%x", os.Geteuid(), sum[:4])))
	}
	return dirs
}

// listen listens at a socket that only the user can open, in the first place that
// can be used. The error is about the first that cannot.
func (p Places) listen() (ln net.Listener, path string, err error) {
	var random [4]byte
	rand.Read(random[:]) // never fails (crypto/rand)
	file := fmt.Sprintf("%d-%x.sock", os.Getpid(), random)
	err = errors.New("there is neither a runtime folder nor a state folder")
	for i, dir := range p.folders() {
		path := filepath.Join(dir, file)
		ln, lerr := listenAt(path)
		if lerr == nil {
			return ln, path, nil
		}
		if i == 0 {
			err = lerr
		}
	}
	return nil, "", err
}

func listenAt(path string) (net.Listener, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := private(dir); err != nil {
		return nil, err
	}
	return local.Listen(path)
}

// private returns an error unless dir is a folder of the user's own that nobody
// else can look into. On Windows it is as private as the folder that it is in,
// which is in the user's profile.
func private(dir string) error {
	info, err := os.Lstat(dir)
	switch {
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("folder %s is a link, which another may have made", dir)
	case !info.IsDir():
		return fmt.Errorf("%s is no folder", dir)
	case !own(info):
		return fmt.Errorf("folder %s is another user's", dir)
	case info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows":
		return fmt.Errorf("folder %s is open to others, with mode %#o: it wants 0700", dir, info.Mode().Perm())
	}
	return nil
}

// sockets are those of agents that run or have died, with their pids. Folders that
// there are not, or that are not the user's alone, have none; the error is about the
// first of the latter if no other can be read.
func (p Places) sockets() (found map[string]int, err error) {
	found = map[string]int{}
	read := false
	for _, dir := range p.folders() {
		entries, derr := list(dir)
		switch {
		case derr == nil:
			read = true
		case errors.Is(derr, fs.ErrNotExist):
		case err == nil:
			err = derr
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			if pid, ok := parseSocket(e.Name()); ok {
				found[path] = pid
			} else if _, ok := parseSocket(strings.TrimSuffix(e.Name(), "~")); ok {
				if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > unborn {
					os.Remove(path)
				}
			}
		}
	}
	if read {
		err = nil
	}
	return found, err
}

// list reads a folder of the user's own.
func list(dir string) ([]os.DirEntry, error) {
	if err := private(dir); err != nil {
		return nil, err
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, _ := f.ReadDir(maxAgents) // what was read is what there is
	return entries, nil
}

// parseSocket reads the pid of a socket's file, PID-RANDOM.sock.
func parseSocket(file string) (pid int, ok bool) {
	text, ok := strings.CutSuffix(file, ".sock")
	if !ok {
		return 0, false
	}
	text, random, ok := strings.Cut(text, "-")
	if !ok || len(random) != 8 || strings.Trim(random, "0123456789abcdef") != "" {
		return 0, false
	}
	pid, err := strconv.Atoi(text)
	return pid, err == nil && pid > 0 && strconv.Itoa(pid) == text
}
