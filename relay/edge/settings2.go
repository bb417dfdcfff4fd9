package edge

import "encoding/binary"

// takeSettings applies the visitor's SETTINGS and says so (RFC 9113 6.5). Of
// several windows in one frame only the last is applied: each would cost as
// many steps as there are streams.
func (c *conn2) takeSettings(f *frame) error {
	ack := f.flags&flagAck != 0
	switch {
	case f.stream != 0:
		return violation2(codeProtocol, "SETTINGS of a stream")
	case len(f.payload)%6 != 0 || ack && len(f.payload) > 0:
		return violation2(codeFrameSize, "SETTINGS of a wrong size")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if ack {
		return c.spend(1)
	}
	initial := c.initial
	for p := f.payload; len(p) > 0; p = p[6:] {
		value := binary.BigEndian.Uint32(p[2:])
		switch binary.BigEndian.Uint16(p) {
		case settingEnablePush:
			if value > 1 {
				return violation2(codeProtocol, "SETTINGS_ENABLE_PUSH")
			}
		case settingInitialWindow:
			if value > maxWindow {
				return violation2(codeFlowControl, "SETTINGS_INITIAL_WINDOW_SIZE")
			}
			initial = int64(value)
		case settingMaxFrameSize:
			if value < maxFrame || value > 1<<24-1 {
				return violation2(codeProtocol, "SETTINGS_MAX_FRAME_SIZE")
			}
		}
	}
	if change := initial - c.initial; change != 0 {
		c.initial = initial
		for _, s := range c.streams {
			if s.window += change; s.window > maxWindow {
				return violation2(codeFlowControl, "a stream's window above its bound")
			}
			s.cond.Broadcast()
		}
	}
	out := c.queue()
	*out = appendSettings(*out)
	(*out)[len(*out)-frameHeaderLen+4] = flagAck
	c.kick()
	return c.spend(1)
}

// takeWindowUpdate lets more be sent (RFC 9113 6.9).
func (c *conn2) takeWindowUpdate(f *frame) error {
	if len(f.payload) != 4 {
		return violation2(codeFrameSize, "WINDOW_UPDATE of a wrong size")
	}
	n := int64(binary.BigEndian.Uint32(f.payload) & maxWindow)
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.stream == 0 {
		if n == 0 {
			return violation2(codeProtocol, "WINDOW_UPDATE of 0")
		}
		if c.window += n; c.window > maxWindow {
			return violation2(codeFlowControl, "the connection's window above its bound")
		}
		c.room.Broadcast()
		return c.spendWindow(n)
	}
	if c.idle(f.stream) {
		return violation2(codeProtocol, "WINDOW_UPDATE of an idle stream")
	}
	s := c.streams[f.stream]
	switch {
	case s == nil:
		return c.spendWindow(n)
	case n == 0:
		c.reset(s, codeProtocol, "WINDOW_UPDATE of 0")
		return c.spend(resetCost)
	case s.window+n > maxWindow:
		c.reset(s, codeFlowControl, "the stream's window above its bound")
		return c.spend(resetCost)
	}
	s.window += n
	s.cond.Broadcast()
	return c.spendWindow(n)
}
