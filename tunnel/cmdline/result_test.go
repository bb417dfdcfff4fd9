package cmdline

import (
	"errors"
	"strings"
	"testing"
)

func TestWriteResults(t *testing.T) {
	results := []Result{
		Check("dns").OK("%s is %s", "x", "y"), Check("wildcard").Failed("add\nit", "it is\nmissing"), Check("clock").Skipped("why"),
		Check("answer").Skipped("\x1b[2J\u202e"), Check("token").Warning("hide it", "others read it"),
	}
	const table = `CHECK     STATE    DETAIL
dns       ok       x is y
wildcard  failed   it is missing
                   cure: add it
clock     skipped  why
answer    skipped  �[2J�
token     warning  others read it
                   cure: hide it
`
	var b strings.Builder
	err := WriteResults(&b, results, false)
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != ExitFailed || e.Message != "1 of 5 checks failed" || b.String() != table {
		t.Errorf("got %v and\n%s\nwant\n%s", err, b.String(), table)
	}
	b.Reset()
	const text = `[{"check":"clock","state":"skipped","detail":"why"},{"check":"token","state":"warning","detail":"others read it","cure":"hide it"}]` + "\n"
	if err := WriteResults(&b, []Result{results[2], results[4]}, true); err != nil || b.String() != text {
		t.Errorf("got %v and\n%s\nwant\n%s", err, b.String(), text)
	}
}
