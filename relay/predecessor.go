package relay

import (
	"context"
	"errors"
	"fmt"
	"os"

	"share/relay/handover"
	"share/relay/route"
)

// A Predecessor is the process of a relay whose place this one is about to take,
// as package handover says. Until Serve takes connections either can go wrong,
// and the old process goes on.
type Predecessor struct {
	conn *handover.Conn
	pid  int
}

// Precede asks the relay that runs with the data folder dir to give way. Its
// sockets are added to sockets. The error may be handover.ErrNoRelay,
// handover.ErrTooOld, handover.ErrEnding or handover.ErrUnsupported; a
// *handover.FailedError is what the relay says. The caller calls Leave in the end.
func Precede(ctx context.Context, dir string, sockets *Sockets) (*Predecessor, error) {
	conn, err := handover.Ask(ctx, SocketPath(dir))
	if err != nil {
		return nil, err
	}
	p := &Predecessor{conn: conn}
	if err := p.meet(ctx, sockets); err != nil {
		p.Leave(err)
		return nil, err
	}
	return p, nil
}

// meet takes the sockets that are passed.
func (p *Predecessor) meet(ctx context.Context, sockets *Sockets) error {
	if err := p.conn.Send(ctx, handover.Message{Step: handover.Want, Version: handover.Version, PID: os.Getpid()}); err != nil {
		return err
	}
	offer, err := p.conn.Receive(ctx, handover.Offer)
	if err != nil {
		return err
	}
	p.pid = offer.PID
	files := p.conn.Files()
	if len(files) != len(offer.Sockets) {
		err = fmt.Errorf("the relay names %d sockets and passes %d", len(offer.Sockets), len(files))
	}
	for i, f := range files {
		if err != nil {
			f.Close()
			continue
		}
		err = sockets.give(offer.Sockets[i], f)
	}
	return err
}

// PID is the process's id.
func (p *Predecessor) PID() int { return p.pid }

// OpenData opens the data folder, which the process closes for that. All sockets
// have been taken, or opened, before.
func (p *Predecessor) OpenData(ctx context.Context, dir string, sockets *Sockets) (*Data, error) {
	if err := p.conn.Send(ctx, handover.Message{Step: handover.Listening}); err != nil {
		return nil, err
	}
	if _, err := p.conn.Receive(ctx, handover.Lent); err != nil {
		return nil, err
	}
	return sockets.OpenData(dir)
}

// ready makes this process the relay, and returns what agents hold at the other
// one.
func (p *Predecessor) ready(ctx context.Context) (held []route.Held, err error) {
	if err := p.conn.Send(ctx, handover.Message{Step: handover.Ready}); err != nil {
		return nil, err
	}
	for {
		m, err := p.conn.Receive(ctx, handover.Held, handover.Go)
		if err != nil {
			return nil, err
		}
		if held = append(held, m.Names...); m.Step == handover.Go {
			p.conn.Close()
			return held, nil
		}
	}
}

// Leave ends what Precede began. If this process does not take the other's place,
// err says why; what it has opened of the data folder must be closed.
func (p *Predecessor) Leave(err error) {
	if _, its := errors.AsType[*handover.FailedError](err); err != nil && !its {
		p.conn.Fail(err)
	}
	p.conn.Close()
}
