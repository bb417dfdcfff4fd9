package terminal

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// quiet is how many light modules surround a QR code: half of what the norm
// asks for, as phones need no more.
const quiet = 2

// qrCode draws text as a QR code, two modules to a character, dark on light where
// there are colours, in a window of width and height with other lines beside it. It
// returns an error if that takes a larger one.
func (st *style) qrCode(text string, width, height, beside int) (string, error) {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return "", fmt.Errorf("the URL is too long for a QR code")
	}
	side := code.Size + 2*quiet
	columns, rows := side, (side+1)/2+beside
	if st.ascii {
		columns, rows = 2*side, side+beside
	}
	if width < columns || height < rows {
		return "", fmt.Errorf("the QR code needs a window of %d columns and %d lines", columns, rows)
	}
	// A terminal without colours is taken for one that is dark.
	light := func(x, y int) bool { return y < side && !code.Black(x-quiet, y-quiet) }
	var b strings.Builder
	step := 2
	if st.ascii {
		step = 1
	}
	for y := 0; y < side; y += step {
		var line strings.Builder
		for x := range side {
			line.WriteString(st.modules(light(x, y), light(x, y+1)))
		}
		b.WriteString(st.code.Render(line.String()) + "\n")
	}
	return b.String(), nil
}

// modules draws two modules, one above the other, or the upper one alone in
// ASCII.
func (st *style) modules(upper, lower bool) string {
	switch {
	case st.ascii && upper:
		return "##"
	case st.ascii:
		return "  "
	case upper && lower:
		return "█"
	case upper:
		return "▀"
	case lower:
		return "▄"
	}
	return " "
}
