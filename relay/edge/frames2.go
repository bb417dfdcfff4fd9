package edge

import (
	"encoding/binary"
	"fmt"
)

// preface2 is what a visitor of HTTP/2 begins with (RFC 9113 3.4).
const preface2 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

const (
	frameHeaderLen = 9

	// maxFrame is the most that a frame carries, both ways: the least that
	// every peer takes (RFC 9113 4.2), so that none holds up others for long.
	maxFrame = 16 << 10

	// maxWindow is how large a window may become (RFC 9113 6.9.1), firstWindow
	// how large it is at first.
	maxWindow   = 1<<31 - 1
	firstWindow = 65535
)

// A frameType is what a frame is (RFC 9113 6).
type frameType uint8

const (
	frameData frameType = iota
	frameHeaders
	framePriority
	frameReset
	frameSettings
	framePushPromise
	framePing
	frameGoAway
	frameWindowUpdate
	frameContinuation
)

const (
	flagAck        = 0x01
	flagEndStream  = 0x01
	flagEndHeaders = 0x04
	flagPadded     = 0x08
	flagPriority   = 0x20
)

// The settings that are acted on or sent (RFC 9113 6.5.2, RFC 9218 2.1).
const (
	settingEnablePush    = 0x2
	settingMaxStreams    = 0x3
	settingInitialWindow = 0x4
	settingMaxFrameSize  = 0x5
	settingMaxHeadSize   = 0x6
	settingNoPriorities  = 0x9
)

// A code says why a stream or a connection ends (RFC 9113 7).
type code uint32

const (
	codeNone        code = 0x0
	codeProtocol    code = 0x1
	codeInternal    code = 0x2
	codeFlowControl code = 0x3
	codeClosed      code = 0x5
	codeFrameSize   code = 0x6
	codeRefused     code = 0x7
	codeCompression code = 0x9
	codeCalm        code = 0xb
)

// A connError is what ends a connection of HTTP/2 (RFC 9113 5.4.1).
type connError struct {
	code   code
	detail string
}

func (e *connError) Error() string { return fmt.Sprintf("HTTP/2 error %d: %s", e.code, e.detail) }

// violation2 is what a visitor must not do.
func violation2(c code, detail string) error { return &connError{c, detail} }

// A frame is one that has come. Its payload is valid until the next is read.
type frame struct {
	typ     frameType
	flags   uint8
	stream  uint32
	payload []byte
}

// parseFrameHeader reads the header that begins b, and the payload's length.
func parseFrameHeader(b []byte) (f frame, n int) {
	f.typ, f.flags = frameType(b[3]), b[4]
	f.stream = binary.BigEndian.Uint32(b[5:]) & maxWindow // less a reserved bit
	return f, int(b[0])<<16 | int(b[1])<<8 | int(b[2])
}

// unpad removes padding (RFC 9113 6.1); false if there is more than payload.
func (f *frame) unpad() bool {
	if f.flags&flagPadded == 0 {
		return true
	}
	if len(f.payload) == 0 || int(f.payload[0]) >= len(f.payload) {
		return false
	}
	f.payload = f.payload[1 : len(f.payload)-int(f.payload[0])]
	return true
}

func appendFrameHeader(b []byte, typ frameType, flags uint8, stream uint32, n int) []byte {
	b = append(b, byte(n>>16), byte(n>>8), byte(n), byte(typ), flags)
	return binary.BigEndian.AppendUint32(b, stream)
}

// appendWord appends a frame of four bytes: RST_STREAM or WINDOW_UPDATE.
func appendWord(b []byte, typ frameType, stream, word uint32) []byte {
	b = appendFrameHeader(b, typ, 0, stream, 4)
	return binary.BigEndian.AppendUint32(b, word)
}

func appendGoAway(b []byte, last uint32, c code, detail string) []byte {
	b = appendFrameHeader(b, frameGoAway, 0, 0, 8+len(detail))
	b = binary.BigEndian.AppendUint32(b, last)
	b = binary.BigEndian.AppendUint32(b, uint32(c))
	return append(b, detail...)
}

// appendSettings appends settings, as numbers and values in turn.
func appendSettings(b []byte, settings ...uint32) []byte {
	b = appendFrameHeader(b, frameSettings, 0, 0, len(settings)/2*6)
	for i := 0; i < len(settings); i += 2 {
		b = binary.BigEndian.AppendUint16(b, uint16(settings[i]))
		b = binary.BigEndian.AppendUint32(b, settings[i+1])
	}
	return b
}

// appendBlock appends a header block, in as many frames as it takes; it stands
// in b from at on, behind room for a frame's header.
func appendBlock(b []byte, at int, flags uint8, stream uint32) []byte {
	n := len(b) - at - frameHeaderLen
	if n <= maxFrame {
		appendFrameHeader(b[:at], frameHeaders, flags|flagEndHeaders, stream, n)
		return b
	}
	block := append([]byte(nil), b[at+frameHeaderLen:]...)
	b = b[:at]
	for typ := frameHeaders; len(block) > 0; typ, flags = frameContinuation, 0 {
		piece := block[:min(len(block), maxFrame)]
		if block = block[len(piece):]; len(block) == 0 {
			flags |= flagEndHeaders
		}
		b = appendFrameHeader(b, typ, flags, stream, len(piece))
		b = append(b, piece...)
	}
	return b
}
