package access

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// A Record is what is written of an exchange. What stands in it may be a
// visitor's, byte for byte.
type Record struct {
	Time     time.Time // when the request began
	ID       []byte
	Visitor  string // the address, without a port
	Tunnel   string // empty if the request led to none
	Host     []byte
	Method   []byte // empty if the request was none
	Path     []byte // with the query
	Protocol string // HTTP/1.1; empty if the request was none
	Status   int    // 0 if nobody was answered
	Received int64  // bytes of the request's body
	Sent     int64  // bytes of the answer's body
	Head     time.Duration
	Whole    time.Duration
	Cause    string // of a failure, as in Share-Error
	By       string // who says so
	Cut      bool   // the answer was cut behind its head
	Referer  []byte
	Agent    []byte // User-Agent
}

// A Format is how a Record is written.
type Format uint8

const (
	JSON     Format = iota // an object in each line
	Combined               // as Apache and nginx do, and more behind it
)

// append appends r as a line.
func (f Format) append(b []byte, r *Record) []byte {
	if f == Combined {
		return r.appendCombined(b)
	}
	return r.appendJSON(b)
}

const (
	// maxShown bounds what a line has of one value. A head may be 32 KiB.
	maxShown = 2 << 10

	stampJSON     = "2006-01-02T15:04:05.000000Z07:00"
	stampCombined = "02/Jan/2006:15:04:05 -0700"
)

// appendJSON appends r as an object of JSON. Durations are in seconds.
func (r *Record) appendJSON(b []byte) []byte {
	b = r.Time.UTC().AppendFormat(append(b, `{"time":"`...), stampJSON)
	b = appendText(append(b, `","id":`...), r.ID)
	b = appendText(append(b, `,"visitor":`...), r.Visitor)
	b = appendText(append(b, `,"tunnel":`...), r.Tunnel)
	b = appendText(append(b, `,"host":`...), r.Host)
	b = appendText(append(b, `,"method":`...), r.Method)
	b = appendText(append(b, `,"path":`...), r.Path)
	b = appendText(append(b, `,"protocol":`...), r.Protocol)
	b = strconv.AppendInt(append(b, `,"status":`...), int64(r.Status), 10)
	b = strconv.AppendInt(append(b, `,"received_bytes":`...), r.Received, 10)
	b = strconv.AppendInt(append(b, `,"sent_bytes":`...), r.Sent, 10)
	b = appendSeconds(append(b, `,"head_seconds":`...), r.Head)
	b = appendSeconds(append(b, `,"whole_seconds":`...), r.Whole)
	b = appendText(append(b, `,"cause":`...), r.Cause)
	b = appendText(append(b, `,"by":`...), r.By)
	b = strconv.AppendBool(append(b, `,"cut":`...), r.Cut)
	b = appendText(append(b, `,"referer":`...), r.Referer)
	b = appendText(append(b, `,"user_agent":`...), r.Agent)
	return append(b, "}\n"...)
}

// appendCombined appends r in the combined format, and behind it: tunnel, cause,
// id, bytes received, and the seconds to the answer's head and to its end. What
// there is not is a hyphen.
func (r *Record) appendCombined(b []byte) []byte {
	b = appendWord(b, r.Visitor)
	b = r.Time.AppendFormat(append(b, " - - ["...), stampCombined)
	b = append(b, `] "`...)
	if len(r.Method) == 0 {
		b = append(b, '-')
	} else {
		b = appendEscaped(b, r.Method)
		b = appendEscaped(append(b, ' '), r.Path)
		b = appendEscaped(append(b, ' '), r.Protocol)
	}
	b = append(b, `" `...)
	if r.Status < 100 {
		b = append(b, "000"...)
	} else {
		b = strconv.AppendInt(b, int64(r.Status), 10)
	}
	b = strconv.AppendInt(append(b, ' '), r.Sent, 10)
	b = appendQuoted(append(b, ' '), r.Referer)
	b = appendQuoted(append(b, ' '), r.Agent)
	b = appendWord(append(b, ' '), r.Tunnel)
	b = appendWord(append(b, ' '), r.Cause)
	b = appendWord(append(b, ' '), r.ID)
	b = strconv.AppendInt(append(b, ' '), r.Received, 10)
	b = appendSeconds(append(b, ' '), r.Head)
	b = appendSeconds(append(b, ' '), r.Whole)
	return append(b, '\n')
}

// appendSeconds appends d in seconds, to the microsecond.
func appendSeconds(b []byte, d time.Duration) []byte {
	us := max(d.Microseconds(), 0)
	b = strconv.AppendInt(b, us/1e6, 10)
	b = append(b, '.')
	rest := us % 1e6
	for unit := int64(1e5); unit > 0; unit /= 10 {
		b = append(b, byte('0'+rest/unit%10))
	}
	return b
}

const hexDigits = "0123456789abcdef"

// appendText appends s as a string of JSON (RFC 8259 7). Whoever reads it on a
// terminal is safe, too: what a terminal may take for a command is escaped, and
// so is what looks like the end of a line.
func appendText[T string | []byte](b []byte, s T) []byte {
	b = append(b, '"')
	shown := s[:min(len(s), maxShown)]
	for len(shown) > 0 {
		c := shown[0]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
			shown = shown[1:]
		case c < ' ' || c == 0x7f:
			b = append(b, `\u00`...)
			b = append(b, hexDigits[c>>4], hexDigits[c&15])
			shown = shown[1:]
		case c < utf8.RuneSelf:
			b = append(b, c)
			shown = shown[1:]
		default:
			r, n := utf8.DecodeRuneInString(string(shown[:min(len(shown), utf8.UTFMax)]))
			b = appendRune(b, r)
			shown = shown[n:]
		}
	}
	if len(s) > maxShown {
		b = append(b, "..."...)
	}
	return append(b, '"')
}

// appendRune appends a rune above ASCII as UTF-16 that is escaped: not every
// reader of a log shows all of Unicode as one line from left to right.
func appendRune(b []byte, r rune) []byte {
	if r >= 0x10000 {
		r -= 0x10000
		b = appendRune(b, 0xd800+r>>10)
		r = 0xdc00 + r&0x3ff
	}
	return append(b, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}

// appendEscaped appends s in printable ASCII without quotes. Other bytes become
// \xHH, as nginx has it.
func appendEscaped[T string | []byte](b []byte, s T) []byte {
	for i := range min(len(s), maxShown) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			b = append(b, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		} else {
			b = append(b, c)
		}
	}
	if len(s) > maxShown {
		b = append(b, "..."...)
	}
	return b
}

// appendQuoted appends s between quotes, a hyphen if it is empty.
func appendQuoted(b, s []byte) []byte {
	b = append(b, '"')
	if len(s) == 0 {
		b = append(b, '-')
	}
	return append(appendEscaped(b, s), '"')
}

// appendWord appends s as one word, a hyphen if it is empty.
func appendWord[T string | []byte](b []byte, s T) []byte {
	if len(s) == 0 {
		return append(b, '-')
	}
	start := len(b)
	b = appendEscaped(b, s)
	for i := start; i < len(b); i++ {
		if b[i] == ' ' {
			b[i] = '_'
		}
	}
	return b
}
