package project

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"share/tunnel/cmdline"
)

// maxShown bounds how much of a line is shown, in characters.
const maxShown = 120

// A place is a character of a file.
type place struct {
	source       *source
	line, column int // from 1 on; a column is a character
}

func (s *source) at(line, column int) place { return place{s, max(line, 1), max(column, 1)} }

// token is the place of a token.
func (s *source) token(t *token.Token) place {
	if t == nil || t.Position == nil {
		return s.at(1, 1)
	}
	return s.at(t.Position.Line, t.Position.Column)
}

// where is the place of a node, or else if it has none.
func (s *source) where(n ast.Node, otherwise place) place {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return otherwise
	}
	return s.token(n.GetToken())
}

func (p place) String() string {
	return fmt.Sprintf("%s:%d:%d", p.source.path, p.line, p.column)
}

// wrong returns an error that names the place and shows its line.
func (p place) wrong(hint, format string, args ...any) *cmdline.Error {
	e := &cmdline.Error{Code: cmdline.ExitConfig, Message: p.String() + ": " + fmt.Sprintf(format, args...), Hint: hint}
	line, ok := p.source.lineOf(p.line)
	if !ok {
		return e
	}
	number := fmt.Sprintf("%4d | ", p.line)
	e.Excerpt = []string{number + shown(line), strings.Repeat(" ", len(number)-2) + "| " + strings.Repeat(" ", min(p.column-1, maxShown)) + "^"}
	return e
}

// lineOf returns a line of the file.
func (s *source) lineOf(n int) (string, bool) {
	for line := range strings.Lines(s.text) {
		if n--; n == 0 {
			return strings.TrimSuffix(line, "\n"), true
		}
	}
	return "", false
}

// shown is a line as it is shown: each character as wide as the others, and no
// secret.
func shown(line string) string {
	if key := regexp.MustCompile(`(?i)tok[^:]*:`).FindStringIndex(line); key != nil {
		line = line[:key[1]] + " ***"
	}
	if key, value, ok := strings.Cut(line, ":"); ok && strings.Contains(value, secret) {
		line = key + ": ***"
	}
	if strings.Contains(line, secret) {
		line = regexp.MustCompile(secret+`\S*`).ReplaceAllString(line, "***")
	}
	if utf8.RuneCountInString(line) > maxShown {
		line = string([]rune(line)[:maxShown])
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r < ' ' || r > '~':
			return '?'
		}
		return r
	}, line)
}
