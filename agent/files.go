package agent

import (
	"fmt"
	"os"
	"strings"

	"share/tunnel/cmdline"
)

// LoadToken reads a token from a file of one line: the token, or the label of
// its account and the token, as in a relay's file. The error is a *cmdline.Error.
func LoadToken(file string) (string, error) {
	const hint = "a token file has one line: the token, or its label and the token"
	b, err := os.ReadFile(file)
	if err != nil {
		return "", cmdline.Unusable(hint, err)
	}
	token, ok := ParseToken(string(b))
	if !ok {
		return "", cmdline.Unusable(hint, fmt.Errorf("%s has no token, or more than one", file))
	}
	return token, nil
}

// ParseToken returns the token in a text of one line, which may have the label of
// its account before it; ok is false if there is none, or more than one.
func ParseToken(text string) (token string, ok bool) {
	line := strings.TrimSpace(text)
	words := strings.Fields(line)
	if len(words) == 0 || len(words) > 2 || strings.ContainsAny(line, "\r\n") {
		return "", false
	}
	return words[len(words)-1], true
}
