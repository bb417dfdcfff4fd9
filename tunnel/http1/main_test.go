package http1

import (
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"share/tunnel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// head joins lines as a message's head: CRLF behind each, and an empty line.
func head(lines ...string) string {
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// causeOf is the cause of a parser's error, CauseNone for none. An error that
// is no Failure fails t.
func causeOf(t *testing.T, err error) tunnel.Cause {
	t.Helper()
	if err == nil {
		return tunnel.CauseNone
	}
	f, ok := errors.AsType[*tunnel.Failure](err)
	if !ok {
		t.Fatalf("error %v (%T) is no Failure", err, err)
	}
	return f.Cause
}

// readRequest reads a request's head as a relay does, given all bytes at once.
func readRequest(r *Request, data []byte) (n int, err error) {
	if n, err = RequestHead(data, 0); n > 0 {
		err = r.Parse(data[:n])
	}
	return n, err
}

// readResponse reads a response's head as an agent does.
func readResponse(r *Response, data []byte, method string) (n int, err error) {
	if n, err = ResponseHead(data, 0); n > 0 {
		err = r.Parse(data[:n], []byte(method))
	}
	return n, err
}
