package agent

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"unicode"
)

// reason says err in one line for a state that views show: the operating
// system's words without the addresses that the view shows already.
func reason(err error) string {
	if err == nil {
		return ""
	}
	var name *net.DNSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens at the relay's address"
	case errors.As(err, &name) && name.IsNotFound:
		return "the relay's name " + name.Name + " does not resolve"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the relay closed the connection"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection to the relay broke"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "the relay does not answer"
	}
	return oneLine(err.Error())
}

// oneLine makes what a peer wrote fit for a line of text.
func oneLine(s string) string {
	const longest = 500
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s[:min(len(s), longest)])
	return strings.TrimSpace(s)
}
