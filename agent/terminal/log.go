package terminal

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"share/agent"
	"share/tunnel"
)

// plain shows events as logs of log/slog's text form, which quotes whatever is
// not printable, and the URL alone on stdout. If quiet, there are no logs.
type plain struct {
	log   logger
	quiet bool
	state states
}

func newPlain(cfg Config) *plain {
	p := &plain{quiet: cfg.Mode == Quiet, state: newStates(cfg.Target)}
	p.log.handler = slog.NewTextHandler(&p.log, &slog.HandlerOptions{Level: cfg.Level})
	return p
}

func (p *plain) show(out *output, e agent.Event) {
	news := p.state.apply(e)
	if news.url {
		if e.Tunnel != "" {
			out.stdout = append(append(out.stdout, escape(e.Tunnel)...), ' ')
		}
		out.stdout = append(append(out.stdout, escape(e.URL)...), '\n')
	}
	switch {
	case e.Kind == agent.EventError:
		out.stderr = append(append(out.stderr, errorLine(e.Message, e.Hint)...), excerpt(e.Excerpt)...)
	case e.Kind == agent.EventOutput && p.quiet:
		out.stderr = append(append(out.stderr, e.Message...), '\n')
	case e.Kind == agent.EventOutput:
		out.stderr = append(out.stderr, outputLine(e, look{})...)
	case !p.quiet && !news.repeated:
		out.stderr = p.log.append(out.stderr, e, news.hint)
	}
}

// events shows events as they are, and logs of log/slog's JSON form.
type events struct {
	log   logger
	state states
}

func newJSON(cfg Config) *events {
	j := &events{state: newStates(cfg.Target)}
	j.log.handler = slog.NewJSONHandler(&j.log, &slog.HandlerOptions{Level: cfg.Level})
	j.log.ascii = true
	return j
}

func (j *events) show(out *output, e agent.Event) {
	news := j.state.apply(e)
	line, err := json.Marshal(e)
	if err != nil {
		return // strings, numbers and times always marshal
	}
	out.stdout = append(appendASCII(out.stdout, line), '\n')
	if !news.repeated {
		out.stderr = j.log.append(out.stderr, e, news.hint)
	}
}

// A logger makes lines of a slog.Handler that writes to it.
type logger struct {
	handler slog.Handler
	line    []byte
	ascii   bool
}

func (l *logger) Write(p []byte) (int, error) {
	l.line = append(l.line, p...)
	return len(p), nil
}

// append appends e's line to b, with hint if it is not empty.
func (l *logger) append(b []byte, e agent.Event, hint string) []byte {
	level, msg, attrs := record(e)
	ctx := context.Background()
	if !l.handler.Enabled(ctx, level) {
		return b
	}
	if hint != "" {
		attrs = append(attrs, slog.String("hint", hint))
	}
	r := slog.NewRecord(e.Time, level, msg, 0)
	r.AddAttrs(attrs...)
	l.line = l.line[:0]
	if err := l.handler.Handle(ctx, r); err != nil {
		return b // Write never fails
	}
	if l.ascii {
		return appendASCII(b, l.line)
	}
	return append(b, l.line...)
}

// record gives an event as a log has it.
func record(e agent.Event) (slog.Level, string, []slog.Attr) {
	level, msg, attrs := recordOf(e)
	if e.Tunnel != "" {
		attrs = append([]slog.Attr{slog.String("tunnel", e.Tunnel)}, attrs...)
	}
	if e.Relay != "" && e.Kind != agent.EventConnecting {
		attrs = append(attrs, slog.String("relay", e.Relay)) // one of several
	}
	return level, msg, attrs
}

func recordOf(e agent.Event) (slog.Level, string, []slog.Attr) {
	level := slog.LevelInfo
	switch e.Kind {
	case agent.EventConnecting:
		attrs := []slog.Attr{slog.String("relay", e.Relay)}
		if e.Identity != "" {
			attrs = append(attrs, slog.String("identity", e.Identity))
		}
		if e.Target != "" {
			attrs = append(attrs, slog.String("target", e.Target))
		}
		return level, "connecting", attrs
	case agent.EventReady:
		attrs := []slog.Attr{slog.String("url", e.URL), slog.String("name", e.Name), slog.Bool("verified", e.Verified)}
		if e.Via != "" {
			attrs = append(attrs, slog.String("via", e.Via))
		}
		if !e.Verified {
			level = slog.LevelWarn
			attrs = append(attrs, slog.String("reason", e.Reason))
		}
		return level, "ready", attrs
	case agent.EventOpen:
		return level, "open", []slog.Attr{slog.String("id", e.ID), slog.String("method", e.Method), slog.String("target", e.Target),
			slog.Int("status", e.Status), slog.String("protocol", e.Protocol), slog.Float64("ms", millis(e.Elapsed))}
	case agent.EventRequest:
		attrs := []slog.Attr{slog.String("id", e.ID), slog.String("method", e.Method), slog.String("target", e.Target),
			slog.Int("status", e.Status), slog.String("cause", causeName(e.Cause)), slog.Float64("ms", millis(e.Elapsed)),
			slog.Int64("bytes_in", e.BytesIn), slog.Int64("bytes_out", e.BytesOut)}
		if e.Cause != tunnel.CauseNone {
			level = slog.LevelWarn
			attrs = append(attrs, slog.String("detail", e.Detail))
		}
		return level, "request", attrs
	case agent.EventReconnecting:
		return slog.LevelWarn, "reconnecting", []slog.Attr{slog.String("reason", e.Reason), slog.Float64("retry_ms", millis(e.Retry)), slog.Int("attempt", e.Attempt)}
	case agent.EventDraining:
		return level, "draining", []slog.Attr{slog.Int("open", e.Open)}
	case agent.EventTarget:
		if e.Up {
			return level, "target", []slog.Attr{slog.String("state", "up")}
		}
		return slog.LevelWarn, "target", []slog.Attr{slog.String("state", "down"), slog.String("cause", causeName(e.Cause)), slog.String("detail", e.Detail)}
	case agent.EventWarning:
		var attrs []slog.Attr
		if e.Symptom != "" {
			attrs = append(attrs, slog.String("code", e.Symptom))
		}
		if e.Hint != "" {
			attrs = append(attrs, slog.String("hint", e.Hint))
		}
		return slog.LevelWarn, e.Message, attrs
	case agent.EventError:
		return slog.LevelError, e.Message, []slog.Attr{slog.Int("code", e.Code), slog.String("hint", e.Hint)}
	case agent.EventOutput:
		return level, "output", []slog.Attr{slog.String("source", e.Source), slog.String("stream", e.Stream()), slog.String("line", e.Message)}
	}
	return level, e.Kind.String(), []slog.Attr{slog.Int("code", e.Code), slog.String("reason", e.Reason)}
}

// outputLine gives what a program beside the agent wrote, with its name before
// it. Whoever made the event has taken from it what steers a terminal.
func outputLine(e agent.Event, name look) string {
	return name.Render("["+escape(e.Source)+"]") + " " + e.Message + "\n"
}

func causeName(c tunnel.Cause) string {
	if c == tunnel.CauseNone {
		return ""
	}
	return c.String()
}

// millis gives d in milliseconds to the microsecond.
func millis(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)/time.Microsecond) / 1e3
}

// appendASCII appends JSON text to b with each character outside of printable
// ASCII, all of which stand in strings, as an escape: some of them steer
// terminals.
func appendASCII(b, text []byte) []byte {
	const hex = "0123456789abcdef"
	unit := func(u rune) {
		b = append(b, '\\', 'u', hex[u>>12&15], hex[u>>8&15], hex[u>>4&15], hex[u&15])
	}
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		text = text[n:]
		switch {
		case r < 0x7f:
			b = append(b, byte(r))
		case r > 0xffff:
			r -= 0x10000
			unit(0xd800 + r>>10)
			unit(0xdc00 + r&0x3ff)
		default:
			unit(r)
		}
	}
	return b
}

// ASCII returns JSON text in printable ASCII, but for white space between its values.
func ASCII(text []byte) []byte { return appendASCII(nil, text) }

// Escape gives s in printable ASCII, with \x1b for each other byte.
func Escape(s string) string { return escape(s) }

// escape gives s in printable ASCII, with \x1b for each other byte: what a
// terminal shows is as wide as it is long, and is what it seems to be.
func escape(s string) string {
	const hex = "0123456789abcdef"
	other := func(r rune) bool { return r < ' ' || r > '~' }
	if strings.IndexFunc(s, other) < 0 {
		return s
	}
	b := make([]byte, 0, len(s)+16)
	for _, c := range []byte(s) {
		if other(rune(c)) {
			b = append(b, '\\', 'x', hex[c>>4], hex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}
