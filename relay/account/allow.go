package account

import (
	"slices"
	"strings"
)

const (
	// maxAllows bounds the rules of who may log in, maxAllow one of them.
	maxAllows = 200
	maxAllow  = 300
)

// Allow says who may log in: those for whom one of the rules holds. A rule is
// CLAIM=VALUE, where the claim of the person's ID token has the value, or it is in
// its list; each * in it stands for any characters. An e-mail address counts only if
// the issuer has verified it, whatever the case of its letters of ASCII is.
type Allow []string

// Check returns why there can be no such rules: of those that would let in
// everybody the issuer knows, too, unless it is iss that says so.
func (a Allow) Check() error {
	if len(a) == 0 || len(a) > maxAllows {
		return invalid("who may log in is said by 1 to %d rules: allow CLAIM=VALUE, as in allow email=*@example.com", maxAllows)
	}
	for _, rule := range a {
		claim, value, ok := strings.Cut(rule, "=")
		switch {
		case !ok || claim == "" || value == "" || len(rule) > maxAllow || strings.TrimSpace(claim) != claim || strings.TrimSpace(value) != value:
			return invalid("a rule of who may log in is CLAIM=VALUE, as email=*@example.com, and not %.100q", rule)
		case strings.Trim(value, "*") == "":
			return invalid("%.100q lets everybody in: name what the claim has to be", rule)
		case claim == "email" && !ownDomain(value):
			return invalid("%.100q lets in whoever has a domain of the kind: write out what stands behind the @", rule)
		}
	}
	return nil
}

// ownDomain reports whether an e-mail address's domain is written out.
func ownDomain(address string) bool {
	at := strings.LastIndexByte(address, '@')
	return at >= 0 && at+1 < len(address) && !strings.Contains(address[at:], "*")
}

// Permits reports whether a person may log in.
func (a Allow) Permits(p *Person) bool {
	return slices.ContainsFunc(a, func(rule string) bool {
		claim, pattern, _ := strings.Cut(rule, "=")
		if claim == "email" && !p.verified() {
			return false
		}
		return slices.ContainsFunc(p.Claims[claim], func(value string) bool {
			if claim == "email" {
				return match(lower(pattern), lower(value))
			}
			return match(pattern, value)
		})
	})
}

// lower has the letters of ASCII in lower case. Others are left, of which some would
// become one of these, and the address another's.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
