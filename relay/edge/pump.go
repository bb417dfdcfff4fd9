package edge

import "io"

// A pump reads a body of net/http's in a goroutine of its own, so that whoever
// waits for it can be interrupted and come back: a deadline would end the body
// for good. One goroutine at a time may call next.
type pump struct {
	body  io.Reader
	buf   *[]byte
	want  chan struct{} // asks for a piece; holds one
	got   chan piece    // the piece; holds one
	stop  chan struct{} // interrupts next; holds one
	ended chan struct{} // closed when the goroutine has ended
	asked bool          // a piece is under way
}

// A piece is what a Read returned.
type piece struct {
	n   int
	err error
}

// newPump starts a pump, which close ends.
func newPump(body io.Reader) *pump {
	p := &pump{
		body:  body,
		buf:   largeReads.Get().(*[]byte),
		want:  make(chan struct{}, 1),
		got:   make(chan piece, 1),
		stop:  make(chan struct{}, 1),
		ended: make(chan struct{}),
	}
	go p.run()
	return p
}

func (p *pump) run() {
	defer close(p.ended)
	for range p.want {
		n, err := p.body.Read(*p.buf)
		p.got <- piece{n, err}
	}
}

// next returns the next bytes of the body, valid until the next call, or
// errInterrupted.
func (p *pump) next() ([]byte, error) {
	if !p.asked {
		p.asked = true
		p.want <- struct{}{}
	}
	select {
	case got := <-p.got:
		p.asked = false
		if got.n > 0 || got.err == nil {
			return (*p.buf)[:got.n], nil // an error comes again
		}
		return nil, got.err
	case <-p.stop:
		return nil, errInterrupted
	}
}

// interrupt makes next return, until resume.
func (p *pump) interrupt() {
	select {
	case p.stop <- struct{}{}:
	default:
	}
}

func (p *pump) resume() {
	select {
	case <-p.stop:
	default:
	}
}

// close ends the pump. The caller has made the body's Read return.
func (p *pump) close() {
	close(p.want)
	<-p.ended
	largeReads.Put(p.buf)
}
