package project

import (
	"strings"
	"unicode/utf8"
)

// expand replaces ${NAME} in a value at p by what the environment has, or by what
// stands behind :- in ${NAME:-otherwise} if that is not set or empty; $$ is a
// dollar. What comes from the environment is not read again.
func (s *source) expand(p place, value string) (string, error) {
	if !strings.Contains(value, "$") {
		return value, nil
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(value, "$")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		switch {
		case strings.HasPrefix(rest, "$"):
			b.WriteByte('$')
			value = rest[1:]
			continue
		case !strings.HasPrefix(rest, "{"):
			return "", p.seek("$").wrong("write $$ for a dollar, ${NAME} for a variable", "a dollar stands for nothing")
		}
		inner, after, closed := strings.Cut(rest[1:], "}")
		name, otherwise, optional := strings.Cut(inner, ":-")
		at := func() place { return p.seek("${" + name) }
		switch {
		case !closed:
			return "", at().wrong("write ${NAME}", "a variable has no end")
		case !isVariable(name):
			return "", at().wrong("write ${NAME} or ${NAME:-otherwise}", "%.100q is no variable's name", name)
		case isSecret(name):
			return "", at().wrong("leave it away: the agent finds its token itself", "%s is a secret, which does not belong into a file that others read", name)
		}
		got := s.getenv(name)
		switch {
		case got == "" && !optional:
			return "", at().wrong("set it, or write ${"+name+":-otherwise}", "%s is not set in the environment", name)
		case got == "":
			got = otherwise
		}
		b.WriteString(got)
		value = after
	}
}

// isVariable reports whether s may be the name of a variable.
func isVariable(s string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
	return s != "" && len(s) <= 200 && !strings.Contains("0123456789", s[:1]) && strings.Trim(s, letters+"0123456789") == ""
}

// isSecret reports whether the variable has what lets an agent in. Windows takes a
// name in any case for the same.
func isSecret(name string) bool {
	switch strings.ToUpper(name) {
	case "SHARE_TOKEN", "SHARE_ADMIN_TOKEN", "SHARE_ID_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN":
		return true
	}
	return false
}

// seek is the place of text on the line from p on, or else p.
func (p place) seek(text string) place {
	line, _ := p.source.lineOf(p.line)
	from := 0
	for range p.column - 1 {
		_, n := utf8.DecodeRuneInString(line[from:])
		from += n
	}
	if i := strings.Index(line[from:], text); i >= 0 {
		p.column += utf8.RuneCountInString(line[from : from+i])
	}
	return p
}
