package runner

import (
	"bytes"
	"io"
)

// A Quoting writes what visitors, targets and programs have a part in where the
// runner of GitHub Actions reads, which is not to take it for commands. Those of
// today stand at the start of a line, which is ours; those of an older form,
// ##[NAME]DATA, wherever they like.
type Quoting struct {
	W    io.Writer // gets what is written
	JSON bool      // that is JSON
}

// Write takes whole lines.
func (q Quoting) Write(text []byte) (int, error) {
	bracket := `\x5b`
	if q.JSON {
		bracket = `\u005b` // it can but stand in a string
	}
	_, err := q.W.Write(bytes.ReplaceAll(text, []byte("##["), []byte("##"+bracket)))
	if err != nil {
		return 0, err
	}
	return len(text), nil
}
