package terminal

import (
	"encoding/json"

	"share/agent"
)

// Lines returns what appends the lines of an event to a text: those that JSON has
// for scripts, or the logs of Plain. What it is given is one agent's, in order.
func Lines(mode Mode, target string) func(text []byte, e agent.Event) []byte {
	if mode == JSON {
		return func(text []byte, e agent.Event) []byte {
			line, err := json.Marshal(e)
			if err != nil {
				return text // strings, numbers and times always marshal
			}
			return append(appendASCII(text, line), '\n')
		}
	}
	p := newPlain(Config{Mode: Plain, Target: target})
	return func(text []byte, e agent.Event) []byte {
		var out output
		p.show(&out, e)
		return append(text, out.stderr...)
	}
}
