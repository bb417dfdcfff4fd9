package target

import (
	"io"

	"share/tunnel"
)

// maxDrain bounds the request body that is read only to find that it is whole.
const maxDrain = 64 << 10

// fail is a failure of this target.
func (t *Target) fail(c tunnel.Cause, err error) *tunnel.Failure {
	f := tunnel.Fail(c, err)
	f.By, f.NextHop = tunnel.Agent, t.hop
	return f
}

// own names the target in a failure that was found where it is not known.
func (t *Target) own(err error) *tunnel.Failure {
	f := *tunnel.AsFailure(err)
	f.By, f.NextHop = tunnel.Agent, t.hop
	return &f
}

// Answer ends the exchange with the complete response that a failure is shown
// as. No final response was sent before. It is for exchanges that Serve has not
// seen.
func (t *Target) Answer(x *tunnel.Exchange, f *tunnel.Failure) error {
	more := x.Request().ContentLength != 0
	for n := 0; more && n < maxDrain && x.Buffered(); {
		p, err := x.Data()
		n += len(p)
		if err == io.EOF {
			more = false
		} else if err != nil {
			return err
		}
	}
	return t.answer(x, f, more)
}

// answer is Answer; more says that the request's body may not have ended.
func (t *Target) answer(x *tunnel.Exchange, f *tunnel.Failure, more bool) error {
	r := x.Request()
	resp, body := t.cfg.Style.Answer(f, tunnel.Asking{
		Method: r.Method,
		Accept: r.Header.Join("accept"),
		ID:     string(r.ID),
		URL:    shownURL(r),
		Note:   t.Health().Note(),
	})
	if err := x.SendResponse(resp); err != nil {
		return err
	}
	if _, err := x.Write(body); err != nil {
		return err
	}
	if more {
		if err := x.Stop(); err != nil {
			return err
		}
	}
	return x.End(nil)
}

// shownURL is what the visitor asked for, for people to read.
func shownURL(r *tunnel.Request) string {
	scheme := "http://"
	if r.Flags&tunnel.RequestHTTPS != 0 {
		scheme = "https://"
	}
	return scheme + string(r.Authority) + string(r.Target)
}
