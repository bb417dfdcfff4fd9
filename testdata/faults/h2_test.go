package faults

import (
	"bytes"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// An h2visitor is one connection that speaks HTTP/2 with prior knowledge. It
// gives the peer large windows and writes what it is told to, valid or not.
type h2visitor struct {
	*run
	conn    net.Conn
	fr      *http2.Framer
	streams map[uint32]*message // by the goroutine that reads
	over    map[uint32]bool     // streams that have ended

	mu    sync.Mutex     // one frame at a time
	block bytes.Buffer   // guarded by mu
	enc   *hpack.Encoder // guarded by mu; writes to block
	next  uint32         // guarded by mu
}

// visitH2 begins a visitor at addr.
func (r *run) visitH2(addr string) *h2visitor {
	r.Helper()
	conn := r.dial(addr)
	conn.SetDeadline(time.Now().Add(patience))
	v := &h2visitor{run: r, conn: conn, fr: http2.NewFramer(conn, conn), next: 1,
		streams: make(map[uint32]*message), over: make(map[uint32]bool)}
	v.enc = hpack.NewEncoder(&v.block)
	v.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	conn.Write([]byte(http2.ClientPreface))
	v.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
	v.fr.WriteWindowUpdate(0, 1<<30)
	return v
}

// within sets the time by which the visitor gives up.
func (v *h2visitor) within(d time.Duration) { v.conn.SetDeadline(time.Now().Add(d)) }

// request begins a stream with the given fields, pseudo-fields among them.
func (v *h2visitor) request(end bool, fields ...field) uint32 {
	v.mu.Lock()
	defer v.mu.Unlock()
	id := v.next
	v.next += 2
	v.block.Reset()
	for _, f := range fields {
		v.enc.WriteField(hpack.HeaderField{Name: f.name, Value: f.value})
	}
	v.fr.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: v.block.Bytes(), EndHeaders: true, EndStream: end})
	return id
}

// data sends a part of a stream's body, at most a window of it.
func (v *h2visitor) data(id uint32, p string, end bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for len(p) > 16384 {
		v.fr.WriteData(id, false, []byte(p[:16384]))
		p = p[16384:]
	}
	v.fr.WriteData(id, end, []byte(p))
}

// trailers ends a stream with trailer fields.
func (v *h2visitor) trailers(id uint32, fields ...field) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.block.Reset()
	for _, f := range fields {
		v.enc.WriteField(hpack.HeaderField{Name: f.name, Value: f.value})
	}
	v.fr.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: v.block.Bytes(), EndHeaders: true, EndStream: true})
}

// cancel resets a stream.
func (v *h2visitor) cancel(id uint32) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.fr.WriteRSTStream(id, http2.ErrCodeCancel)
}

// head is what a GET needs, and more fields.
func h2head(method, authority, path string, more ...field) []field {
	return append([]field{{":method", method}, {":scheme", "http"},
		{":authority", authority}, {":path", path}}, more...)
}

// answer reads frames until the stream has ended.
func (v *h2visitor) answer(id uint32) *message { return v.read(id, nil) }

// read reads frames until the stream has ended or enough says so.
func (v *h2visitor) read(id uint32, enough func(*message) bool) *message {
	begun := time.Now()
	for {
		m := v.stream(id)
		m.took = time.Since(begun)
		if v.over[id] || enough != nil && enough(m) {
			return m
		}
		f, err := v.fr.ReadFrame()
		if err != nil {
			m.end = endOf(err)
			if _, ok := errors.AsType[http2.ConnectionError](err); ok {
				m.end = garbled
			}
			if e, ok := errors.AsType[http2.StreamError](err); ok {
				v.Errorf("frame of the relay: %v", e)
				m.end = garbled
			}
			return m
		}
		v.take(f)
	}
}

// stream returns what came of a stream so far.
func (v *h2visitor) stream(id uint32) *message {
	if v.streams[id] == nil {
		v.streams[id] = newMessage()
		v.streams[id].end = hung
	}
	return v.streams[id]
}

// take takes one frame.
func (v *h2visitor) take(f http2.Frame) {
	m := v.stream(f.Header().StreamID)
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			v.mu.Lock()
			v.fr.WriteSettingsAck()
			v.mu.Unlock()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			v.mu.Lock()
			v.fr.WritePing(true, f.Data)
			v.mu.Unlock()
		}
	case *http2.MetaHeadersFrame:
		v.takeHead(m, f)
	case *http2.DataFrame:
		m.Write(f.Data())
		v.takeEnd(m, f.Header())
	case *http2.RSTStreamFrame:
		m.end, m.code = reset, uint32(f.ErrCode)
		v.over[f.StreamID] = true
	case *http2.GoAwayFrame:
		for id, m := range v.streams {
			if id > f.LastStreamID && !v.over[id] {
				m.end, m.code = reset, uint32(f.ErrCode)
				v.over[id] = true
			}
		}
	}
}

// takeHead takes the fields of an interim or final head, or trailers.
func (v *h2visitor) takeHead(m *message, f *http2.MetaHeadersFrame) {
	var fields []field
	for _, h := range f.RegularFields() {
		fields = append(fields, field{h.Name, h.Value})
	}
	status, _ := strconv.Atoi(f.PseudoValue("status"))
	switch {
	case m.status >= 200:
		m.trailers = fields
	case status < 200:
		m.interim = append(m.interim, &message{status: status, fields: fields})
	default:
		m.first, m.status, m.fields = "HTTP/2.0 "+strconv.Itoa(status), status, fields
	}
	v.takeEnd(m, f.Header())
}

// takeEnd ends the stream if h says so, and checks the length it announced.
func (v *h2visitor) takeEnd(m *message, h http2.FrameHeader) {
	if h.Flags&http2.FlagDataEndStream == 0 {
		return
	}
	m.end = whole
	v.over[h.StreamID] = true
	if n := m.get("content-length"); n != "" && m.size != 0 && n != strconv.FormatInt(m.size, 10) {
		m.end = garbled // RFC 9113 8.1.1: malformed, so the visitor knows
	}
}

// askH2 sends a request over a connection of its own, and reads the answer.
func (r *run) askH2(addr, host string, q request) *message {
	r.Helper()
	v := r.visitH2(addr)
	defer v.conn.Close()
	v.within(q.within)
	fields := h2head(q.verb(), host, q.target())
	for _, f := range q.fields {
		name, value, _ := strings.Cut(f, ": ")
		fields = append(fields, field{strings.ToLower(name), value})
	}
	if q.body != "" {
		fields = append(fields, field{"content-length", strconv.Itoa(len(q.body))})
	}
	id := v.request(q.body == "", fields...)
	if q.body != "" {
		v.data(id, q.body, true)
	}
	return v.answer(id)
}
