package account

import (
	"net/url"
	"strings"
)

// A Kind is how identities of an issuer look.
type Kind string

// The kinds of a Trust. A subject is PREFIX:PATH of a repository, or that and
// :REST, where REST is matched with what follows PATH in the token's sub, as a
// branch or an environment; each * in it stands for any characters. The path is
// that of a claim of its own, and the repository and its owner are known by
// their ids.
const (
	KindGitHub Kind = "github" // repo:acme/web
	KindGitLab Kind = "gitlab" // project_path:acme/web
	KindOIDC   Kind = "oidc"   // any other: the token's sub, with * as above
)

const (
	// maxSubject bounds a trust's subject, maxIssuer its issuer.
	maxSubject = 255
	maxIssuer  = 200
)

// DefaultIssuer is the issuer of a trust that names none, empty if it must.
func (k Kind) DefaultIssuer() string {
	switch k {
	case KindGitHub:
		return "https://token.actions.githubusercontent.com"
	case KindGitLab:
		return "https://gitlab.com"
	}
	return ""
}

// prefix is what subjects begin with.
func (k Kind) prefix() string {
	switch k {
	case KindGitHub:
		return "repo:"
	case KindGitLab:
		return "project_path:"
	}
	return ""
}

// pathClaim has the repository's path.
func (k Kind) pathClaim() string {
	if k == KindGitHub {
		return "repository"
	}
	return "project_path"
}

// ids are the claims by which repository and owner stay the same, whatever they
// are called.
func (k Kind) ids() []string {
	switch k {
	case KindGitHub:
		return []string{"repository_id", "repository_owner_id"}
	case KindGitLab:
		return []string{"project_id", "namespace_id"}
	}
	return nil
}

// path is the repository's in a subject.
func (k Kind) path(subject string) string {
	path, _, _ := strings.Cut(strings.TrimPrefix(subject, k.prefix()), ":")
	return path
}

// match reports whether an identity is that of a subject. GitHub and GitLab tell
// no names apart by their case.
func (k Kind) match(subject string, id Identity) bool {
	if k == KindOIDC {
		return match(subject, id.Subject)
	}
	path, rest, narrow := strings.Cut(strings.TrimPrefix(subject, k.prefix()), ":")
	if !strings.EqualFold(path, id.Claims[k.pathClaim()]) {
		return false
	}
	if !narrow {
		return true
	}
	sub, ok := strings.CutPrefix(id.Subject, k.prefix())
	_, sub, more := strings.Cut(sub, ":")
	return ok && more && match(rest, sub)
}

// check returns why a trust's issuer or subject cannot be, and fills in the
// issuer.
func (k Kind) check(t *Trust) error {
	if k != KindGitHub && k != KindGitLab && k != KindOIDC {
		return invalid("a trust is of the kind github, gitlab or oidc")
	}
	if t.Issuer == "" {
		t.Issuer = k.DefaultIssuer()
	}
	if !ValidIssuer(t.Issuer) {
		return invalid("an issuer is a URL such as https://gitlab.example.com, without query, and not %.100q: see --issuer", t.Issuer)
	}
	if len(t.Subject) > maxSubject || strings.ContainsFunc(t.Subject, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return invalid("a subject has at most %d printable characters of ASCII, without spaces", maxSubject)
	}
	if k == KindOIDC {
		return checkOIDC(t)
	}
	if !strings.HasPrefix(t.Subject, k.prefix()) || !k.validPath(k.path(t.Subject)) || strings.HasSuffix(t.Subject, ":") {
		return invalid("a subject of %s is %sOWNER/NAME, for one repository, or that and :REST of its tokens' sub; not %.100q", k, k.prefix(), t.Subject)
	}
	return nil
}

// checkOIDC refuses what would trust everybody.
func checkOIDC(t *Trust) error {
	if strings.Trim(t.Subject, "*") == "" {
		return invalid("a subject of oidc is what the token's sub is, with * for any characters, but not them alone: see --subject")
	}
	for _, k := range []Kind{KindGitHub, KindGitLab} {
		if strings.TrimSuffix(t.Issuer, "/") == k.DefaultIssuer() {
			return invalid("for %s there is share relay trust %s, which goes by ids", t.Issuer, k)
		}
	}
	return nil
}

// ValidIssuer reports whether there may be an issuer with such a URL.
func ValidIssuer(issuer string) bool {
	u, err := url.Parse(issuer)
	return err == nil && len(issuer) <= maxIssuer && u.Scheme == "https" && u.Hostname() != "" &&
		u.User == nil && u.RawQuery == "" && !u.ForceQuery && u.Fragment == "" && !strings.ContainsAny(issuer, "# ")
}

// validPath reports whether path is one of a repository: of two names, of which
// the first may be several at GitLab.
func (k Kind) validPath(path string) bool {
	names := strings.Split(path, "/")
	if len(names) < 2 || len(names) > 2 && k == KindGitHub {
		return false
	}
	for _, name := range names {
		if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "" {
			return false
		}
	}
	return true
}
