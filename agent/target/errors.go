package target

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"share/tunnel"
)

// connectCause says why a connect failed.
func connectCause(err error) tunnel.Cause {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsTimeout {
			return tunnel.TargetNameTimeout
		}
		return tunnel.TargetNameUnknown
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		if noPorts(err, errno) {
			return tunnel.Overload
		}
		if c := errnoCause(errno); c != tunnel.CauseNone {
			return c
		}
	}
	if isTimeout(err) {
		return tunnel.TargetConnectTimeout
	}
	if _, ok := errors.AsType[*net.AddrError](err); ok {
		return tunnel.TargetUnroutable
	}
	return tunnel.Internal
}

// noPorts reports whether this machine has no local port left towards the
// target. Without IPv6, every connect to an IPv6 address fails alike.
func noPorts(err error, errno syscall.Errno) bool {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || !isAddrNotAvail(errno) {
		return false
	}
	addr, ok := op.Addr.(*net.TCPAddr)
	return ok && addr.IP.To4() != nil
}

// handshakeCause says why a TLS handshake failed on a connection that stood.
func handshakeCause(err error) tunnel.Cause {
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		host         x509.HostnameError
		invalid      x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &verification), errors.As(err, &authority), errors.As(err, &host), errors.As(err, &invalid):
		return tunnel.TargetCertificate
	case isTimeout(err):
		return tunnel.TargetConnectTimeout
	}
	return tunnel.TargetTLS
}

// readCause says why a connection that a request went out on gave no answer,
// or only the begin of one.
func readCause(err error, some bool) tunnel.Cause {
	switch {
	case isAlert(err):
		return tunnel.TargetTLS
	case some:
		return tunnel.TargetIncomplete
	}
	return tunnel.TargetClosed
}

// isAlert reports whether TLS ended a connection after its handshake, as it
// does for a client without the certificate that TLS 1.3 asks it for.
func isAlert(err error) bool {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	// The alert's own type has no exported name.
	op, ok := errors.AsType[*net.OpError](err)
	return ok && (op.Op == "remote error" || op.Op == "local error")
}

// isTimeout reports whether err says that time was up. Errors of the poller and
// of contexts say so in different ways.
func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &t) && t.Timeout()
}

// errTruncated is the end of a TLS connection without the close_notify that
// would make it one (RFC 8446 6.1, RFC 9112 9.8).
var errTruncated = errors.New("the connection ended without close_notify")

// errUnsent is the end of a connection that had refused the request's rest: the
// system reports a reset only once, to whoever uses the connection first.
var errUnsent = errors.New("the target closed the connection before it had read the request")

// endError is err with an io.EOF named for people.
func endError(err error) error {
	if errors.Is(err, io.EOF) {
		return errClosed
	}
	return err
}

var errClosed = errors.New("the target closed the connection")
