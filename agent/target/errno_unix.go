//go:build unix

package target

import (
	"errors"
	"syscall"

	"share/tunnel"
)

// errnoCause is the cause that an error of connect(2) stands for, CauseNone if
// it is none of its own.
func errnoCause(e syscall.Errno) tunnel.Cause {
	switch e {
	case syscall.ECONNREFUSED, syscall.ENOENT, syscall.ENOTDIR, syscall.ELOOP, syscall.ENOTSOCK, syscall.EPROTOTYPE:
		return tunnel.TargetRefused
	case syscall.ECONNRESET: // the connection stood, and was cut at once
		return tunnel.TargetClosed
	case syscall.EACCES, syscall.EPERM:
		return tunnel.TargetNotPermitted
	case syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EHOSTDOWN, syscall.ENETDOWN,
		syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT, syscall.EINVAL:
		return tunnel.TargetUnroutable
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM:
		return tunnel.Overload
	case syscall.ETIMEDOUT:
		return tunnel.TargetConnectTimeout
	}
	return tunnel.CauseNone
}

func isAddrNotAvail(e syscall.Errno) bool { return e == syscall.EADDRNOTAVAIL }

// isBacklogFull reports whether a unix socket's connect failed because the
// target has not accepted the ones before.
func isBacklogFull(err error) bool { return errors.Is(err, syscall.EAGAIN) }
