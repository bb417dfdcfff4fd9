package relay

import (
	"bufio"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"strings"
	"unicode"
)

const (
	// maxToken keeps a token within the preface that carries it.
	maxToken = 4 << 10

	// maxTokens bounds a token file: each attempt is compared with all.
	maxTokens = 100_000

	// maxLabel bounds the name of an account.
	maxLabel = 100
)

// Tokens are what agents are let in with, each for the account its label
// names. Only digests are kept.
type Tokens struct {
	labels  []string
	digests [][sha256.Size]byte
}

// ParseTokens reads a token file: a line each, "label token"; empty lines and
// those that begin with # are skipped. The error names the line, never its
// content.
func ParseTokens(r io.Reader) (Tokens, error) {
	var t Tokens
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxToken+maxLabel+2)
	n := 0
	for lines.Scan() {
		n++
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		words := strings.Fields(line)
		if len(words) != 2 {
			return Tokens{}, fmt.Errorf("line %d: want \"label token\"", n)
		}
		if err := t.Add(words[0], words[1]); err != nil {
			return Tokens{}, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return Tokens{}, fmt.Errorf("line %d: %w", n+1, err)
	}
	if t.Empty() {
		return Tokens{}, fmt.Errorf("no token: want a line each, \"label token\"")
	}
	return t, nil
}

// Add lets agents in with token, for the account label.
func (t *Tokens) Add(label, token string) error {
	switch {
	case token == "" || len(token) > maxToken:
		return fmt.Errorf("a token has 1 to %d bytes", maxToken)
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return fmt.Errorf("a token is printable ASCII without spaces")
	case label == "" || len(label) > maxLabel || strings.ContainsFunc(label, func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' }):
		return fmt.Errorf("a label has 1 to %d printable bytes", maxLabel)
	case len(t.labels) == maxTokens:
		return fmt.Errorf("more than %d tokens", maxTokens)
	}
	t.labels = append(t.labels, label)
	t.digests = append(t.digests, sha256.Sum256([]byte(token)))
	return nil
}

// Empty reports whether there is no token.
func (t *Tokens) Empty() bool { return len(t.labels) == 0 }

// account returns the label of token. It takes the same time whichever token
// it is, and whether it is known.
func (t *Tokens) account(token string) (label string, ok bool) {
	return t.labelOf(sha256.Sum256([]byte(token)))
}

// has reports whether there is a token with a digest, and it has a label.
func (t *Tokens) has(digest [sha256.Size]byte, label string) bool {
	found, ok := t.labelOf(digest)
	return ok && found == label
}

func (t *Tokens) labelOf(digest [sha256.Size]byte) (label string, ok bool) {
	found := -1
	for i := range t.digests {
		same := subtle.ConstantTimeCompare(digest[:], t.digests[i][:])
		found = subtle.ConstantTimeSelect(same, i, found)
	}
	if found < 0 {
		return "", false
	}
	return t.labels[found], true
}
