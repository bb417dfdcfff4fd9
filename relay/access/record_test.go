package access

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// usual is a record of a request as most are.
func usual() *Record {
	return &Record{
		Time:    time.Date(2030, 1, 2, 3, 4, 5, 678_000, time.UTC),
		ID:      []byte("c85825cf98baefa6"),
		Visitor: "192.0.2.1", Tunnel: "web", Host: []byte("web.share.test"),
		Method: []byte("GET"), Path: []byte("/a?b=c"), Protocol: "HTTP/1.1",
		Status: 200, Received: 3, Sent: 1234, Head: 1500 * time.Microsecond, Whole: 2*time.Second + 7*time.Microsecond,
		Referer: []byte("https://example.com/"), Agent: []byte("curl/8.1"),
	}
}

// failed is one of a request that failed.
func failed() *Record {
	r := usual()
	r.Status, r.Cause, r.By, r.Cut, r.Referer, r.Agent = 502, "target_refused", "share-agent", true, nil, nil
	return r
}

func TestFormats(t *testing.T) {
	bad := &Record{Time: usual().Time, ID: []byte("1"), Visitor: "2001:db8::1", Status: 400, Cause: "bad_request"}
	for _, tt := range []struct {
		format Format
		record *Record
		want   string
	}{
		{JSON, usual(), `{"time":"2030-01-02T03:04:05.000678Z","id":"c85825cf98baefa6","visitor":"192.0.2.1","tunnel":"web","host":"web.share.test",` +
			`"method":"GET","path":"/a?b=c","protocol":"HTTP/1.1","status":200,"received_bytes":3,"sent_bytes":1234,"head_seconds":0.001500,"whole_seconds":2.000007,` +
			`"cause":"","by":"","cut":false,"referer":"https://example.com/","user_agent":"curl/8.1"}`},
		{JSON, failed(), `{"time":"2030-01-02T03:04:05.000678Z","id":"c85825cf98baefa6","visitor":"192.0.2.1","tunnel":"web","host":"web.share.test",` +
			`"method":"GET","path":"/a?b=c","protocol":"HTTP/1.1","status":502,"received_bytes":3,"sent_bytes":1234,"head_seconds":0.001500,"whole_seconds":2.000007,` +
			`"cause":"target_refused","by":"share-agent","cut":true,"referer":"","user_agent":""}`},
		{Combined, usual(), `192.0.2.1 - - [02/Jan/2030:03:04:05 +0000] "GET /a?b=c HTTP/1.1" 200 1234 "https://example.com/" "curl/8.1" web - c85825cf98baefa6 3 0.001500 2.000007`},
		{Combined, failed(), `192.0.2.1 - - [02/Jan/2030:03:04:05 +0000] "GET /a?b=c HTTP/1.1" 502 1234 "-" "-" web target_refused c85825cf98baefa6 3 0.001500 2.000007`},
		{Combined, bad, `2001:db8::1 - - [02/Jan/2030:03:04:05 +0000] "-" 400 0 "-" "-" - bad_request 1 0 0.000000 0.000000`},
	} {
		if got := string(tt.format.append(nil, tt.record)); got != tt.want+"\n" {
			t.Errorf("got\n%swant\n%s", got, tt.want)
		}
	}
}

// combined is a whole line of the combined format, however its values look.
var combined = regexp.MustCompile(`^[!-~]+ - - \[[^]"]+\] "[ !#-~]*" \d{3} \d+ "[ !#-~]*" "[ !#-~]*" [!-~]+ [!-~]+ [!-~]+ \d+ \d+\.\d{6} \d+\.\d{6}\n$`)

// hostile is what visitors may send to forge a line or to move a cursor.
var hostile = []string{
	"/\"} {\"status\":200", "/\" 200 1 \"-\" \"-\"\n192.0.2.9 - - [forged]", "/\r\n", "/\x1b[2J\x1b]0;x\a", "/\x00\x7f", `/\"`, `/\`, "/\u202egnp.exe",
	"/\u2028", "/\u0085", "/\xff\xfe", "/\xed\xa0\x80", "/💥", "/ü", "", " ", "-", strings.Repeat("/", maxShown), strings.Repeat("\x1b", maxShown+1),
}

func TestHostileValues(t *testing.T) {
	for _, s := range hostile {
		checkHostile(t, s)
	}
}

func FuzzRecord(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(checkHostile)
}

// checkHostile writes a record in which s stands wherever a visitor can put it.
func checkHostile(t *testing.T, s string) {
	r := usual()
	r.Method, r.Path, r.Host, r.Referer, r.Agent = []byte(s), []byte(s), []byte(s), []byte(s), []byte(s)
	line := JSON.append(nil, r)
	for i, c := range line {
		if (c < ' ' || c > '~') && i != len(line)-1 {
			t.Fatalf("%q: byte %#x in %q", s, c, line)
		}
	}
	var got map[string]any
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatalf("%q: %v in %s", s, err, line)
	}
	want := s
	if len(s) > maxShown {
		want = s[:maxShown] + "..."
	}
	for _, key := range []string{"method", "path", "host", "referer", "user_agent"} {
		text := got[key].(string)
		if utf8.ValidString(want) && text != want || len(text) > 3*maxShown+3 {
			t.Errorf("%s: got %q, want %q", key, text, want)
		}
	}
	if got["status"] != 200.0 || got["id"] != "c85825cf98baefa6" || len(got) != 18 {
		t.Errorf("%q changes the record: %v", s, got)
	}
	if line := Combined.append(nil, r); !combined.Match(line) {
		t.Errorf("%q: %q", s, line)
	}
}
