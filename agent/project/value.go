package project

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"share/tunnel/cmdline"
)

// secret is what the tokens of a relay begin with.
const secret = "shr_"

// settings reads a mapping of keys.
func (s *source) settings(n ast.Node, what string, keys []key) (settings []Setting, err error) {
	var known []string
	for _, k := range keys {
		known = append(known, k.name)
	}
	entries, err := s.entries(n, what, known)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		k, _ := find(keys, e.key)
		value, err := s.value(k, e)
		if err != nil {
			return nil, err
		}
		settings = append(settings, Setting{Key: k.name, Value: value, at: s.where(e.value, e.at)})
	}
	return settings, nil
}

// value is what an entry says for its key.
func (s *source) value(k key, e entry) (string, error) {
	at := s.where(e.value, e.at)
	if seq, ok := e.value.(*ast.SequenceNode); ok && k.kind == isList {
		var all []string
		for _, n := range seq.Values {
			one, err := s.scalar(k, n, at)
			switch {
			case err != nil:
				return "", err
			case strings.Contains(one, ","):
				return "", s.where(n, at).wrong("write each on its own", "%s has a comma in one of its values", k.name)
			}
			all = append(all, one)
		}
		if len(all) == 0 {
			return "", at.wrong("write one or more, or leave the key away", "%s has no value", k.name)
		}
		return strings.Join(all, ","), nil
	}
	value, err := s.scalar(k, e.value, at)
	if err != nil {
		return "", err
	}
	switch {
	case k.kind == isToggle && value != "true" && value != "false":
		return "", at.wrong("write true or false", "%s is %.100q", k.name, value)
	case k.kind == isChoice && !slices.Contains(k.choices, value):
		return "", at.wrong("write "+strings.Join(k.choices, " or "), "%s is %.100q", k.name, value)
	case k.kind == isFile && !filepath.IsAbs(value):
		value = filepath.Join(s.dir, value)
	}
	return value, nil
}

// scalar is the text of a node that has nothing below it.
func (s *source) scalar(k key, n ast.Node, otherwise place) (string, error) {
	at, value := s.where(n, otherwise), ""
	switch n := n.(type) {
	case nil, *ast.NullNode:
		return "", at.wrong("write one, or leave the key away", "%s has no value", k.name)
	case *ast.StringNode:
		value = n.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		value = n.GetToken().Value
	default:
		return "", at.wrong("write it on the key's line", "%s wants a text", k.name)
	}
	value, err := s.expand(at, value)
	switch {
	case err != nil:
		return "", err
	case value == "":
		return "", at.wrong("write one, or leave the key away", "%s has no value", k.name)
	case strings.IndexFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0:
		return "", at.wrong("write it on one line", "%s has a character that steers", k.name)
	case strings.Contains(value, secret):
		return "", at.token(k.name)
	}
	return value, nil
}

// token says that something has a token, and does not show it.
func (p place) token(what string) *cmdline.Error {
	return p.wrong("put it into SHARE_TOKEN or a file that --token-file names", "%s has a token, which does not belong into a file that others read", what)
}
