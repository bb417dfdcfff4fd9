package main

import (
	"io"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"share/testdata/bench/rig"
)

// terminalFor gives cmd a terminal of 100 columns for stdin, stdout and stderr.
// What it writes goes to the stdout that cmd had, by read, which returns when
// cmd has ended and must be called once cmd was started. What is written to keys
// is typed.
func terminalFor(cmd *exec.Cmd) (keys *os.File, read func(), err error) {
	master, slave, err := rig.Terminal(40, 100)
	if err != nil {
		return nil, nil, err
	}
	to := cmd.Stdout
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	return master, func() {
		slave.Close()
		io.Copy(to, master) // ends with EIO when the last has closed the slave
		master.Close()
	}, nil
}

// echoes reports whether a terminal shows what is typed.
func echoes(terminal *os.File) (bool, error) {
	state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		return false, err
	}
	return state.Lflag&unix.ECHO != 0, nil
}
