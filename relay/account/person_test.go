package account

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// ann is a person who shows something that was not shown before, with n.
func ann(n int) Person {
	return Person{
		Issuer: "https://login.example.com", Subject: "ann",
		Claims: map[string][]string{"sub": {"ann"}, "email": {"ann@example.com"}, "email_verified": {"true"}},
		Digest: sha256.Sum256([]byte(fmt.Sprint(n))), Until: time.Now().Add(time.Hour),
	}
}

func TestLogIn(t *testing.T) {
	a := open(t)
	secret, made, err := a.LogIn(t.Context(), ann(1), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(made.Account, "ann@example.com~") || !made.Login || made.Role != RoleAgent {
		t.Errorf("%+v", made)
	}
	// Some issuers let people choose their subject: none may be found by trying that
	// has another's account.
	if _, digits, _ := strings.Cut(made.Account, "~"); len(digits) < 80/4 {
		t.Errorf("%s tells people apart by %d bits", made.Account, 4*len(digits))
	}
	if left := time.Until(made.Expires); left > time.Hour || left < time.Hour-5*time.Second {
		t.Errorf("it lasts for %v", left)
	}
	if t2, err := a.Authenticate(t.Context(), secret); err != nil || t2.Account != made.Account || t2.ID != made.ID {
		t.Errorf("%+v, %v", t2, err)
	}

	// Whoever the issuer says it is has the same account: by issuer and subject.
	renamed := ann(2)
	renamed.Claims["email"] = []string{"ann.other@example.com"}
	if _, again, err := a.LogIn(t.Context(), renamed, time.Hour); err != nil || again.Account != made.Account {
		t.Errorf("with another address: %+v, %v", again, err)
	}
	for name, change := range map[string]func(*Person){
		"another subject": func(p *Person) { p.Subject = "ben" },
		"another issuer":  func(p *Person) { p.Issuer = "https://login.example.org" },
	} {
		p := ann(3)
		change(&p)
		if _, other, err := a.LogIn(t.Context(), p, time.Hour); err != nil || other.Account == made.Account {
			t.Errorf("%s: %+v, %v", name, other, err)
		}
	}
}

// What an issuer has said is taken once, by a relay that is started anew too.
func TestLogInOnce(t *testing.T) {
	a := open(t)
	if _, _, err := a.LogIn(t.Context(), ann(1), time.Hour); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, _, err := New(a.store).LogIn(t.Context(), ann(1), time.Hour); !errors.Is(err, ErrShown) {
			t.Errorf("shown again: %v", err)
		}
	}
	if tokens, err := a.Tokens(t.Context()); err != nil || len(tokens) != 1 {
		t.Errorf("tokens %+v, %v", tokens, err)
	}
	for n := 2; n <= maxShown; n++ {
		if _, _, err := a.LogIn(t.Context(), ann(n), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err := a.LogIn(t.Context(), ann(0), time.Hour)
	if _, ok := errors.AsType[*ConflictError](err); !ok {
		t.Errorf("once more: %v", err)
	}
	// When it is too late to show them, there is room.
	a.now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	if _, _, err := a.LogIn(t.Context(), ann(0), time.Hour); err != nil {
		t.Errorf("later: %v", err)
	}
}

// The oldest of a person's logins makes room, and no token that an operator has made.
func TestLogInMakesRoom(t *testing.T) {
	a := open(t)
	var secrets []string
	var label string
	for n := range maxLogins {
		secret, made, err := a.LogIn(t.Context(), ann(n), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		label, secrets = made.Account, append(secrets, secret)
		if n == 0 {
			for range maxLive {
				secret, _, err := a.Create(t.Context(), Token{Account: label})
				if err != nil {
					t.Fatal(err)
				}
				defer func() {
					if _, err := a.Authenticate(t.Context(), secret); err != nil {
						t.Errorf("an operator's token: %v", err)
					}
				}()
			}
		}
	}
	if _, _, err := a.Create(t.Context(), Token{Account: label}); err == nil {
		t.Error("an operator has one more")
	}
	if _, _, err := a.LogIn(t.Context(), ann(maxLogins), time.Hour); err != nil {
		t.Fatal(err)
	}
	for n, secret := range secrets {
		_, err := a.Authenticate(t.Context(), secret)
		if n == 0 && !errors.Is(err, ErrToken) || n > 0 && err != nil {
			t.Errorf("login %d: %v", n, err)
		}
	}
	if tokens, err := a.Tokens(t.Context()); err != nil || len(tokens) != maxLogins+maxLive {
		t.Errorf("%d tokens, %v", len(tokens), err)
	}
}

func TestPersonName(t *testing.T) {
	tests := []struct {
		claims map[string][]string
		want   string
	}{
		{map[string][]string{"email": {"a@b.c"}, "email_verified": {"true"}, "preferred_username": {"x"}}, "a@b.c"},
		{map[string][]string{"email": {"a@b.c"}, "email_verified": {"false"}, "preferred_username": {"x"}}, "x"},
		{map[string][]string{"email": {"a@b.c"}, "name": {"Ann Zoë"}}, "AnnZoë"},
		{map[string][]string{"email": {"a@b.c"}, "sub": {"1"}}, "1"},
		{map[string][]string{"preferred_username": {"\x00 \n\u202e"}, "sub": {"1"}}, "1"},
		{map[string][]string{"sub": {strings.Repeat("é", maxAccount)}}, strings.Repeat("é", maxPersonName/2)},
		{map[string][]string{"sub": {"\xff"}}, "person"},
		{nil, "person"},
	}
	for _, tt := range tests {
		p := Person{Claims: tt.claims}
		if got := p.name(); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.claims, got, tt.want)
		}
	}
}

// Whatever an issuer says, the account is one that may be, and the same each time.
func FuzzPersonName(f *testing.F) {
	for _, s := range []string{"ann@example.com", "", "\xff\xfe", "a b", strings.Repeat("ü", 300), "\u2028x"} {
		f.Add(s, "sub")
	}
	f.Fuzz(func(t *testing.T, name, subject string) {
		p := Person{Issuer: "https://login.example.com", Subject: subject, Claims: map[string][]string{"preferred_username": {name}}}
		label := p.name() + "~" + p.key()[:keyDigits]
		if err := CheckAccount(label); err != nil {
			t.Errorf("%q: %v", label, err)
		}
	})
}

func TestAllow(t *testing.T) {
	claims := func(verified string, groups ...string) *Person {
		return &Person{Claims: map[string][]string{"iss": {"https://login.example.com"}, "email": {"Ann@Example.com"}, "email_verified": {verified}, "groups": groups}}
	}
	tests := []struct {
		rules  Allow
		person *Person
		want   bool
	}{
		{Allow{"email=*@example.com"}, claims("true"), true},
		{Allow{"email=ann@EXAMPLE.com"}, claims("true"), true},
		{Allow{"email=*@example.com"}, claims("false"), false},
		{Allow{"email=*@ample.com"}, claims("true"), false},
		{Allow{"email=*@example.com.evil.org"}, claims("true"), false},
		{Allow{"groups=dev"}, claims("false", "ops", "dev"), true},
		{Allow{"groups=de"}, claims("false", "ops", "dev"), false},
		{Allow{"groups=Dev"}, claims("false", "dev"), false},
		{Allow{"groups=/team/*"}, claims("false", "/team/web"), true},
		{Allow{"groups=x", "groups=dev"}, claims("false", "dev"), true},
		{Allow{"groups=dev"}, claims("true"), false},
		{Allow{"iss=https://login.example.com"}, claims("false"), true},
		{Allow{"none=x"}, claims("true"), false},
		{nil, claims("true", "dev"), false},
	}
	for _, tt := range tests {
		if got := tt.rules.Permits(tt.person); got != tt.want {
			t.Errorf("%q and %v: got %v, want %v", tt.rules, tt.person.Claims, got, tt.want)
		}
	}
	// Letters that others become in another case are not these, and one address alone
	// is what the issuer has verified.
	for rule, email := range map[string][]string{
		"email=*@mail.example": {"eve@ma\u0130l.example"},
		"email=mark@d.example": {"mar\u212a@d.example"},
		"email=*@a.example":    {"eve@b.example", "ann@a.example"},
	} {
		p := &Person{Claims: map[string][]string{"email": email, "email_verified": {"true"}}}
		if (Allow{rule}).Permits(p) {
			t.Errorf("%s lets in %q", rule, email)
		}
	}
	for _, rules := range []Allow{nil, {"email"}, {"=x"}, {"email="}, {"groups = dev"}, {"groups= dev"}, {"sub=*"}, {"groups=**"}, {"email=*"}, {"email=*@*"}, {"email=*@*.com"}, {"email=ann@"},
		{"email=ann"}, {"groups=dev", "x"}, {"x=" + strings.Repeat("y", maxAllow)}, slices.Repeat(Allow{"a=b"}, maxAllows+1)} {
		if _, ok := errors.AsType[*InvalidError](rules.Check()); !ok {
			t.Errorf("%.100q is taken", rules)
		}
	}
	if err := (Allow{"email=*@example.com", "groups=CN=dev*"}).Check(); err != nil {
		t.Error(err)
	}
}
