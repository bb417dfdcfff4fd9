//go:build unix

package main

import (
	"os"
	"syscall"
)

// signals are those that scripts send.
var signals = map[string]os.Signal{
	"INT":  syscall.SIGINT,
	"TERM": syscall.SIGTERM,
	"KILL": syscall.SIGKILL,
	"STOP": syscall.SIGSTOP,
	"CONT": syscall.SIGCONT,
	"QUIT": syscall.SIGQUIT,
	"ABRT": syscall.SIGABRT,
	"HUP":  syscall.SIGHUP,
	"USR2": syscall.SIGUSR2,
}
