package tunnel

import "time"

// Read reads from the connection: in large pieces while more small frames
// arrive than its reader asks for, and without a copy what large frames hold.
func (l *link) Read(p []byte) (int, error) {
	if len(l.unread) > 0 {
		return l.take(p), nil
	}
	into := p
	if l.more && len(p) < readAhead && l.guard.body < largePiece {
		l.readBuf = aheadBuffers.Get().(*[]byte)
		into = *l.readBuf
	}
	n, err := l.Conn.Read(into)
	l.more = n == len(into)
	if n > 0 {
		now := stamp(time.Now())
		l.heard.Store(now)
		gerr := l.guard.feed(into[:n], now)
		if gerr == nil && l.arrived != nil {
			gerr = l.arrived(l.guard.bodies)
		}
		if gerr != nil {
			l.fail(gerr)
			l.readFails()
			return 0, gerr
		}
		if !l.guard.partial() {
			l.partial.Store(0)
		} else if l.partial.Load() == 0 || l.guard.fresh {
			l.partial.Store(now)
		}
	} else if err != nil { // all that came before has been read
		l.readFails()
	}
	if l.readBuf == nil {
		return n, err
	}
	l.unread = into[:n]
	if n == 0 {
		l.release()
		return 0, err
	}
	return l.take(p), nil // a final error comes again
}

func (l *link) readFails() {
	if l.failing != nil {
		l.failing()
	}
}

// take hands out unread bytes.
func (l *link) take(p []byte) int {
	n := copy(p, l.unread)
	l.unread = l.unread[n:]
	if len(l.unread) == 0 {
		l.release()
	}
	return n
}

func (l *link) release() {
	l.unread = nil
	aheadBuffers.Put(l.readBuf)
	l.readBuf = nil
}
