package project

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"share/tunnel/cmdline"
)

// What keeps the parser from taking long over a file that somebody else wrote: some
// of its steps cost the square of what they see.
const (
	maxDepth  = 8       // how deep brackets may stand in each other; no file needs more than three
	maxTokens = 20_000  // words, values and signs, as many as maxTunnels tunnels with all keys have
	maxLine   = 1 << 10 // bytes of a line
	maxBlank  = 100     // empty lines in a row
)

// A source is a file while it is read.
type source struct {
	path   string
	dir    string // that of path
	text   string
	getenv func(string) string
}

// An entry is a key and its value.
type entry struct {
	key   string
	at    place
	value ast.Node
}

// root returns what the file has at its top, nil if it is empty.
func (s *source) root() (ast.Node, error) {
	if err := s.lines(); err != nil {
		return nil, err
	}
	tokens := lexer.Tokenize(s.text)
	if err := s.check(tokens); err != nil {
		return nil, err
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, s.syntax(err)
	}
	switch {
	case len(file.Docs) == 0:
		return nil, nil
	case len(file.Docs) > 1:
		return nil, s.where(file.Docs[1].Body, s.at(1, 1)).wrong("write one", "the file has more than one document")
	}
	return file.Docs[0].Body, nil
}

// lines checks the file line by line.
func (s *source) lines() error {
	n, blank := 0, 0
	for line := range strings.Lines(s.text) {
		n++
		line = strings.TrimSuffix(line, "\n")
		if blank++; strings.TrimSpace(line) != "" {
			blank = 0
		}
		switch {
		case strings.ContainsFunc(line, func(r rune) bool { return r == utf8.RuneError || r < ' ' && r != '\t' || r == 0x7f }):
			return s.at(n, 1).wrong("write it as UTF-8 text", "the line has bytes that are no text")
		case len(line) > maxLine:
			return s.at(n, 1).wrong("part it", "the line has more than %d bytes", maxLine)
		case blank > maxBlank:
			return s.at(n, 1).wrong("leave them away", "there are more than %d empty lines in a row", maxBlank)
		}
	}
	return nil
}

// check refuses what no file needs and what would cost the parser much: a part of
// a file stands for itself.
func (s *source) check(tokens token.Tokens) error {
	depth, line, dashes, colons, count := 0, 0, 0, 0, 0
	for _, t := range tokens {
		if t.Type != token.CommentType {
			count++
		}
		if count > maxTokens {
			return s.token(t).wrong("part the file", "the file has too much in it")
		}
		if t.Position.Line != line {
			line, dashes, colons = t.Position.Line, 0, 0
		}
		refuse := ""
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			return s.token(t).wrong("write below defaults what tunnels have in common", "anchors and aliases are not read")
		case token.TagType, token.MappingKeyType, token.DirectiveType:
			refuse = "tags, directives and keys with ? are not read"
		case token.LiteralType, token.FoldedType:
			refuse = "texts of several lines are not read"
		case token.SequenceStartType, token.MappingStartType:
			if depth++; depth > maxDepth {
				refuse = "too many brackets stand in each other"
			}
		case token.SequenceEndType, token.MappingEndType:
			depth--
		case token.SequenceEntryType:
			if dashes++; dashes > 1 {
				refuse = "there is more than one - on the line"
			}
		case token.MappingValueType:
			if colons++; colons > 1 && depth <= 0 {
				refuse = "there is more than one key on the line"
			}
		}
		if refuse != "" {
			return s.token(t).wrong("write one key and its value on each line", "%s", refuse)
		}
	}
	return nil
}

// syntax gives an error of the parser's.
func (s *source) syntax(err error) *cmdline.Error {
	hint := "write it as YAML"
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil {
		place := s.token(at.GetToken())
		switch line, _ := s.lineOf(place.line); {
		case strings.HasPrefix(strings.TrimLeft(line, " "), "\t"):
			hint = "indent with spaces: YAML takes no tabs there"
		case strings.Contains(line, "${"):
			hint = "put the value that has ${ in quotes" // braces are signs of YAML's
		}
		// Behind a colon it quotes the file, which may hold a secret.
		message, _, _ := strings.Cut(at.GetMessage(), ": ")
		return place.wrong(hint, "%s", strings.ReplaceAll(message, "\n", " "))
	}
	return s.at(1, 1).wrong(hint, "the file is no YAML")
}

// entries are those of a mapping, each key once. If known is not empty, there are
// no others.
func (s *source) entries(n ast.Node, what string, known []string) (entries []entry, err error) {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case nil, *ast.NullNode, *ast.CommentGroupNode:
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		return nil, s.where(n, s.at(1, 1)).wrong("write key: value", "%s wants keys with values", what)
	}
	for _, v := range values {
		e := entry{at: s.where(v.Key, s.at(1, 1)), value: v.Value}
		if t := v.Key.GetToken(); t != nil {
			e.key = t.Value
		}
		if strings.Contains(e.key, secret) {
			return nil, e.at.token(what)
		}
		if known != nil && !slices.Contains(known, e.key) {
			return nil, s.unknown(e, what, known)
		}
		if slices.ContainsFunc(entries, func(o entry) bool { return o.key == e.key }) {
			return nil, e.at.wrong("leave one of them away", "%s has %.100q twice", what, e.key)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// unknown says that a key is none, and which may be meant.
func (s *source) unknown(e entry, what string, known []string) *cmdline.Error {
	if e.key == "token" {
		return e.at.wrong("put it into SHARE_TOKEN or a file that --token-file names", "a token does not belong into a file that others read")
	}
	if k, ok := find(keys(), e.key); ok && k.scope == inUser {
		return e.at.wrong("put it into the user's own file, which share config path names", "%s is about tokens: it is not for a project to say", e.key)
	}
	if meant := cmdline.Nearest(e.key, known); meant != "" {
		return e.at.wrong("did you mean "+meant+"?", "%s has no key %.100q", what, e.key)
	}
	return e.at.wrong("use one of "+strings.Join(known, ", "), "%s has no key %.100q", what, e.key)
}
