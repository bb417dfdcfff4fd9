package target

import (
	"syscall"

	"golang.org/x/sys/windows"

	"share/tunnel"
)

// errnoCause is the cause that an error of ConnectEx stands for, CauseNone if
// it is none of its own. The names in package syscall are not what Windows
// returns.
func errnoCause(e syscall.Errno) tunnel.Cause {
	switch e {
	case windows.WSAECONNREFUSED, windows.ERROR_FILE_NOT_FOUND, windows.ERROR_PATH_NOT_FOUND, windows.WSAENOTSOCK:
		return tunnel.TargetRefused
	case windows.WSAECONNRESET: // the connection stood, and was cut at once
		return tunnel.TargetClosed
	case windows.WSAEACCES, windows.ERROR_ACCESS_DENIED:
		return tunnel.TargetNotPermitted
	case windows.WSAENETUNREACH, windows.WSAEHOSTUNREACH, windows.WSAEHOSTDOWN, windows.WSAENETDOWN,
		windows.WSAEADDRNOTAVAIL, windows.WSAEAFNOSUPPORT, windows.WSAEINVAL:
		return tunnel.TargetUnroutable
	case windows.WSAEMFILE, windows.WSAENOBUFS, windows.ERROR_TOO_MANY_OPEN_FILES:
		return tunnel.Overload
	case windows.WSAETIMEDOUT:
		return tunnel.TargetConnectTimeout
	}
	return tunnel.CauseNone
}

func isAddrNotAvail(e syscall.Errno) bool { return e == windows.WSAEADDRNOTAVAIL }

// isBacklogFull is false: Windows refuses then.
func isBacklogFull(error) bool { return false }
