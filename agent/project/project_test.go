package project

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"share/tunnel/cmdline"
)

// environment is what variables have in tests.
func environment(name string) string {
	return map[string]string{"PORT": "3000", "HOST": "app.example.com", "DOLLAR": "${PORT}", "LEAK": "shr_abc", "LINES": "a\nb"}[name]
}

// text gives what a file says, a line for each value.
func (f *File) text() string {
	var b strings.Builder
	write := func(label string, settings []Setting) {
		for _, s := range settings {
			fmt.Fprintf(&b, "%s.%s=%s\n", label, s.Key, s.Value)
		}
	}
	write("", f.Defaults)
	for _, t := range f.Tunnels {
		write(t.Label, t.Settings)
	}
	return b.String()
}

func TestParse(t *testing.T) {
	tests := []struct{ text, want string }{
		{"version: 1\n", ""},
		{"# nothing else\nversion: 1 # really\n", ""},
		{"version: 1\ndefaults:\ntunnels:\n", ""},
		{"\ufeffversion: 1\r\ntunnels:\r\n  a: {target: 80}\r\n", "a.target=80\n"},
		{"version: 1\ntunnels:\n  a:\n    target: 80\n", "a.target=80\n"},
		{"version: 1\ntunnels: {b: {target: localhost:80}, a: {target: \"unix:/x\"}}\n", "b.target=localhost:80\na.target=unix:/x\n"},
		{"version: 1\ndefaults:\n  hold: 5s\n  insecure-target: true\n  lanes: 2\n", ".hold=5s\n.insecure-target=true\n.lanes=2\n"},
		{"version: 1\ndefaults: {relay: [a.example.com, b.example.com]}\n", ".relay=a.example.com,b.example.com\n"},
		{"version: 1\ndefaults:\n  relay:\n    - a.example.com\n    - b.example.com\n", ".relay=a.example.com,b.example.com\n"},
		{"version: 1\ndefaults: {relay: a.example.com}\n", ".relay=a.example.com\n"},
		{"version: 1\ndefaults: {error-pages: pages}\n", ".error-pages=folder/pages\n"},
		{"version: 1\ndefaults: {error-pages: /pages}\n", ".error-pages=/pages\n"},
		{"version: 1\ntunnels:\n  a: {target: \"${PORT}\", host-header: \"${HOST}\", name: \"${NO:-x}$$y\"}\n", "a.target=3000\na.host-header=app.example.com\na.name=x$y\n"},
		{"version: 1\ntunnels:\n  a: {target: \"${DOLLAR}\"}\n", "a.target=${PORT}\n"},
		{"version: 1\ntunnels:\n  a:\n    target: ${NO:-}80\n", "a.target=80\n"},
	}
	for _, tt := range tests {
		f, err := Parse("folder/share.yaml", []byte(tt.text), environment)
		if err != nil || f.text() != tt.want {
			t.Errorf("%q: got %+v, %v, want %q", tt.text, f, err, tt.want)
		}
	}
}

// The user's own file has what a project's may not.
func TestParseUser(t *testing.T) {
	f, err := ParseUser("/home/config.yaml", []byte("version: 1\ndefaults: {relay: x.example.com, token-file: token, relay-ca: /ca, insecure: true}\n"), environment)
	if want := ".relay=x.example.com\n.token-file=/home/token\n.relay-ca=/ca\n.insecure=true\n"; err != nil || f.text() != want {
		t.Errorf("got %v, %v, want %s", f, err, want)
	}
	for _, text := range []string{"version: 1\ntunnels: {a: {target: 80}}", "version: 1\ndefaults: {name: x}", "version: 1\ndefaults: {token: x}"} {
		if _, err := ParseUser("config.yaml", []byte(text), environment); err == nil {
			t.Errorf("%q: is taken", text)
		}
	}
}

// What is wrong is said with its place, its line, and what to do.
func TestParseErrors(t *testing.T) {
	const head = "version: 1\n"
	tests := []struct{ text, want string }{
		{"", "1:1: the file does not say its version: write version: 1 on its first line"},
		{"tunnels:\n", "1:1: the file does not say its version"},
		{"version: 2\n", "1:10: this program reads version 1 alone: write version: 1"},
		{"version: \"1\"\n", "1:10: this program reads version 1 alone"},
		{"version: 1.0\n", "1:10: this program reads version 1 alone"},
		{"version:\n", "this program reads version 1 alone"},
		{"- a\n", "1:1: the file wants keys with values: write key: value"},
		{"text\n", "1:1: the file wants keys with values"},
		{head + "tunels: {}\n", `2:1: the file has no key "tunels": did you mean tunnels?`},
		{head + "other: {}\n", `2:1: the file has no key "other": use one of version, defaults, tunnels`},
		{head + "version: 1\n", `2:1: the file has "version" twice: leave one of them away`},
		{head + "tunnels: 8080\n", "2:10: tunnels wants keys with values"},
		{head + "tunnels: {a: 8080}\n", "2:14: tunnel a is not a target alone, it has keys: write {target: 8080}"},
		{head + "tunnels: {A: {target: 80}}\n", `2:11: tunnel "A" is no DNS label`},
		{head + "tunnels: {a: {}}\n", "2:11: tunnel a: it has no target"},
		{head + "tunnels: {a: {target: 80, hodl: 1s}}\n", `2:27: tunnel a has no key "hodl": did you mean hold?`},
		{head + "tunnels: {a: {target: 80, wait: 1s}}\n", `2:27: tunnel a has no key "wait": use one of kind, target, `},
		{head + "tunnels: {a: {target: 80, kind: tcp}}\n", `2:33: kind is "tcp": write http`},
		{head + "tunnels: {a: {target: 80, random: yes}}\n", `2:35: random is "yes": write true or false`},
		{head + "tunnels: {a: {target: 80, name: [x]}}\n", "2:33: name wants a text"},
		{head + "tunnels: {a: {target: }}\n", "target has no value: write one"},
		{head + "tunnels: {a: {target: \"\"}}\n", "2:23: target has no value"},
		{head + "tunnels: {a: {target: \"a\\nb\"}}\n", "2:23: target has a character that steers: write it on one line"},
		{head + "tunnels:\n  a:\n    target: |\n      80\n", "4:13: texts of several lines are not read: write one key and its value on each line"},
		{head + "defaults: {relay: []}\n", "2:19: relay has no value"},
		{head + "defaults: {relay: [\"a,b\"]}\n", "2:20: relay has a comma in one of its values"},
		{head + "defaults: {relay: [[a]]}\n", "relay wants a text"},
		{head + "defaults: {takeover: true}\n", `2:12: defaults has no key "takeover"`},
		{head + "defaults: {name: x}\n", `2:12: defaults has no key "name"`},
		{head + "defaults: {insecure: true}\n", "2:12: insecure is about tokens: it is not for a project to say"},
		{head + "defaults: {token-file: x}\n", "2:12: token-file is about tokens"},
		{head + "defaults: {token: x}\n", "2:12: a token does not belong into a file that others read: put it into SHARE_TOKEN"},
		{head + "defaults: {host-header: shr_x}\n", "2:25: host-header has a token"},
		{head + "defaults: {host-header: \"${LEAK}\"}\n", "2:25: host-header has a token"},
		{head + "defaults: {host-header: \"${LINES}\"}\n", "2:25: host-header has a character that steers"},
		{head + "defaults: {host-header: \"a${SHARE_TOKEN}\"}\n", "2:27: SHARE_TOKEN is a secret"},
		{head + "defaults: {host-header: \"${actions_id_token_request_token}\"}\n", "2:26: actions_id_token_request_token is a secret"},
		{head + "defaults: {host-header: \"ä${NOSUCH}\"}\n", "2:27: NOSUCH is not set in the environment: set it, or write ${NOSUCH:-otherwise}"},
		{head + "defaults: {host-header: \"a$b\"}\n", "2:27: a dollar stands for nothing: write $$ for a dollar, ${NAME} for a variable"},
		{head + "defaults: {host-header: \"${a\"}\n", "2:26: a variable has no end"},
		{head + "defaults: {host-header: \"${1a}\"}\n", `2:26: "1a" is no variable's name`},
		{head + "defaults: &x {hold: 1s}\n", "2:11: anchors and aliases are not read: write below defaults what tunnels have in common"},
		{head + "defaults: *x\n", "2:11: anchors and aliases are not read"},
		{head + "defaults: {<<: 1}\n", "2:12: anchors and aliases are not read"},
		{head + "defaults: !x {hold: 1s}\n", "2:11: tags, directives and keys with ? are not read"},
		{head + "? a\n", "2:1: tags, directives and keys with ? are not read"},
		{head + "- - - a\n", "2:3: there is more than one - on the line"},
		{head + "a: b: c\n", "2:5: there is more than one key on the line"},
		{head + strings.Repeat("[", 1000), "2:9: too many brackets stand in each other"},
		{head + "defaults: {hold: 1s\n", "2:"},
		{head + "tunnels: {a: {target: ${PORT}}}\n", "put the value that has ${ in quotes"},
		{head + "tunnels:\n\tweb: {target: 1}\n", "indent with spaces: YAML takes no tabs there"},
		{head + "  x: y\n", ""},
		{head + "---\nversion: 1\n", "the file has more than one document: write one"},
		{head + "a\x00b", "2:1: the line has bytes that are no text: write it as UTF-8 text"},
		{head + "a: b\rc", "2:1: the line has bytes that are no text"},
		{head + strings.Repeat("x", maxLine+1), "2:1: the line has more than 1024 bytes: part it"},
		{head + strings.Repeat(" \n", maxBlank+1), "102:1: there are more than 100 empty lines in a row"},
		{head + strings.Repeat("a:\n", maxTokens), "the file has too much in it: part the file"},
		{head + "\n\xff", "3:1: the line has bytes that are no text"},
	}
	for _, tt := range tests {
		f, err := Parse("x.yaml", []byte(tt.text), environment)
		e, ok := errors.AsType[*cmdline.Error](err)
		if !ok || f != nil || e.Code != cmdline.ExitConfig {
			t.Errorf("%q: got %v, %v", tt.text, f, err)
			continue
		}
		if got := e.Message + ": " + e.Hint; !strings.HasPrefix(got, "x.yaml:") || !strings.Contains(got, tt.want) {
			t.Errorf("%q: got %s, want %s", tt.text, got, tt.want)
		}
	}
}

// The line of an error is shown with a mark below the place, and without secrets.
func TestExcerpt(t *testing.T) {
	tests := []struct{ text, line, mark string }{
		{"version: 1\nwrong: x\n", "   2 | wrong: x", "     | ^"},
		{"version: 1\ndefaults:\n    wr\u00f6ng: x\n", "   3 |     wr?ng: x", "     |     ^"},
		{"version: 1\ntoken: geheim\n", "   2 | token: ***", "     | ^"},
		{"version: 1\nmy-token: geheim\n", "   2 | my-token: ***", "     | ^"},
		{"version: 1\ndefaults: {hodl: 1s, Token: geheim}\n", "   2 | defaults: {hodl: 1s, Token: ***", "     |            ^"},
		{"version: 1\nwrong: shr_geheim\n", "   2 | wrong: ***", "     | ^"},
		{"version: 1\n- shr_geheim x\n", "", ""},
		{"version: 1\nshr_geheim: x\n", "   2 | *** x", "     | ^"},
		{"version: 1\n" + strings.Repeat("x", 300) + ": y\n", "   2 | " + strings.Repeat("x", maxShown), "     | ^"},
	}
	for _, tt := range tests {
		_, err := Parse("x.yaml", []byte(tt.text), environment)
		e, ok := errors.AsType[*cmdline.Error](err)
		if !ok || len(e.Excerpt) != 2 {
			t.Fatalf("%q: got %v", tt.text, err)
		}
		if tt.line != "" && (e.Excerpt[0] != tt.line || e.Excerpt[1] != tt.mark) {
			t.Errorf("%q: got\n%s\nwant\n%s\n%s", tt.text, strings.Join(e.Excerpt, "\n"), tt.line, tt.mark)
		}
		if strings.Contains(strings.Join(append(e.Excerpt, e.Message), " "), "geheim") {
			t.Errorf("%q: a secret is shown: %v", tt.text, e.Excerpt)
		}
	}
}

func TestBounds(t *testing.T) {
	var b strings.Builder
	b.WriteString("version: 1\ntunnels:\n")
	for i := range maxTunnels {
		fmt.Fprintf(&b, "  t%d: {target: %d}\n", i, i+1)
	}
	if f, err := Parse("x.yaml", []byte(b.String()), environment); err != nil || len(f.Tunnels) != maxTunnels {
		t.Errorf("%d tunnels: got %v", maxTunnels, err)
	}
	b.WriteString("  last: {target: 80}\n")
	if _, err := Parse("x.yaml", []byte(b.String()), environment); err == nil || !strings.Contains(err.Error(), "x.yaml:103:3: there are more than 100 tunnels") {
		t.Errorf("one more: got %v", err)
	}
	if _, err := Parse("x.yaml", make([]byte, maxFile+1), environment); err == nil || !strings.Contains(err.Error(), "has more than") {
		t.Errorf("a large file: got %v", err)
	}
}

// Nothing that a file of the largest size has keeps the parser for long, or makes
// it end the process.
func TestHostile(t *testing.T) {
	for _, part := range []string{"[", "{", "]", "- ", "a: ", "a:\n", "&a ", "\"", "'", "#", "# x\n", "? ", "a\n", "x: 1\n", " ", "\n", "|\n", "a: |\n ", "- a\n", "{a: [", ": ", ",", "a: \"b\n", "!", "%", "---\n", "<", "<<", "-", "."} {
		for _, line := range []string{part, strings.Repeat(part, maxLine/len(part)) + "\n"} {
			text := []byte("version: 1\n" + strings.Repeat(line, maxFile/8/len(line)))
			if f, err := Parse("x.yaml", text, environment); err == nil && len(f.Tunnels) > 0 {
				t.Errorf("%q: is taken", part)
			}
		}
	}
	var stairs strings.Builder
	stairs.WriteString("version: 1\n")
	for i := range 400 {
		stairs.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	if _, err := Parse("x.yaml", []byte(stairs.String()), environment); err == nil {
		t.Error("deep keys are taken")
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "large")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 2*maxFile); err != nil {
		t.Fatal(err)
	}
	if text, err := Read(path); err != nil || len(text) != maxFile+1 {
		t.Errorf("a large file: got %d bytes, %v", len(text), err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "nosuch")} {
		if text, err := Read(path); err == nil || text != nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %q, %v", path, text, err)
		}
	}
}

// FuzzParse states that whatever a file has, it is either wrong at a place of it,
// said on one line, or has no more than it may and nothing that steers.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"version: 1\ntunnels:\n  a: {target: 80, name: \"${PORT}\"}\n",
		"version: 1\ndefaults:\n  relay:\n  - a\n  - b\n",
		"version: 1\ndefaults: {hold: 1s, random: true}\n# x\n",
		"a: &b [*b]\n", "? - a\n: |\n  x\n", "%YAML 1.2\n---\n!x {}\n", "version: 1\ntunnels: {a: {target: '$${'}}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, err := Parse("x.yaml", []byte(text), environment)
		if err != nil {
			e, ok := errors.AsType[*cmdline.Error](err)
			if !ok || e.Code != cmdline.ExitConfig || file != nil || strings.Contains(e.Message+e.Hint+strings.Join(e.Excerpt, ""), "\n") {
				t.Fatalf("%q: got %v beside error %+v", text, file, err)
			}
			return
		}
		if len(file.Tunnels) > maxTunnels {
			t.Fatalf("%d tunnels", len(file.Tunnels))
		}
		for line := range strings.Lines(file.text()) {
			if line = strings.TrimSuffix(line, "\n"); strings.ContainsFunc(line, func(r rune) bool { return r < ' ' }) || strings.Contains(line, secret) {
				t.Fatalf("%q: got %q", text, line)
			}
		}
	})
}
