package admin

import (
	"math"
	"strconv"

	"share/relay/meter"
)

// An exposition is metrics in the text format of Prometheus, version 0.0.4. It is
// written here and not by Prometheus's client library: the mere start of that
// makes every start of the program, an agent's too, longer by a quarter.
type exposition struct {
	text []byte
	name string // of the family that is being written
}

// expositionType is the media type of the format.
const expositionType = "text/plain; version=0.0.4; charset=utf-8"

// family begins the samples of one metric.
func (e *exposition) family(name, kind, help string) {
	e.name = name
	e.text = append(append(append(append(e.text, "# HELP "...), name...), ' '), help...)
	e.text = append(append(append(append(e.text, "\n# TYPE "...), name...), ' '), kind...)
	e.text = append(e.text, '\n')
}

// sample adds a sample to the family; labels are names and values in turn.
func (e *exposition) sample(v float64, labels ...string) { e.suffixed("", v, labels...) }

// suffixed is sample for one whose name has a suffix.
func (e *exposition) suffixed(suffix string, v float64, labels ...string) {
	e.text = append(append(e.text, e.name...), suffix...)
	for i := 0; i < len(labels); i += 2 {
		before := byte(',')
		if i == 0 {
			before = '{'
		}
		e.text = append(append(append(e.text, before), labels[i]...), '=')
		e.text = appendLabel(e.text, labels[i+1])
	}
	if len(labels) > 0 {
		e.text = append(e.text, '}')
	}
	e.text = appendNumber(append(e.text, ' '), v)
	e.text = append(e.text, '\n')
}

// appendNumber appends a number as package strconv of Go reads it.
func appendNumber(b []byte, v float64) []byte {
	switch {
	case math.IsInf(v, 1):
		return append(b, "+Inf"...)
	case v == math.Trunc(v) && math.Abs(v) < 1<<53:
		return strconv.AppendInt(b, int64(v), 10)
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64)
}

// appendLabel appends a label's value between quotes.
func appendLabel(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '\n':
			b = append(b, '\\', 'n')
		case '"', '\\':
			b = append(b, '\\', c)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// gauge adds a metric of one value that goes up and down.
func (e *exposition) gauge(name, help string, v float64) {
	e.family(name, "gauge", help)
	e.sample(v)
}

// counter adds a metric of one value that only goes up.
func (e *exposition) counter(name, help string, v float64) {
	e.family(name, "counter", help)
	e.sample(v)
}

// histogram adds a histogram.
func (e *exposition) histogram(name, help string, h *meter.Histogram) {
	e.family(name, "histogram", help)
	buckets, sum := h.Read()
	for _, b := range buckets {
		e.suffixed("_bucket", float64(b.Count), "le", string(appendNumber(nil, b.Bound)))
	}
	e.suffixed("_sum", sum)
	e.suffixed("_count", float64(buckets[len(buckets)-1].Count))
}
