//go:build !linux

package main

import (
	"errors"
	"os"
	"os/exec"
)

func terminalFor(*exec.Cmd) (keys *os.File, read func(), err error) {
	return nil, nil, errors.New("terminals are tested on Linux")
}

func echoes(*os.File) (bool, error) { return false, errors.New("terminals are tested on Linux") }
