package account

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// github is an identity of a repository.
func github(repository, sub, id, owner string) Identity {
	return Identity{
		Issuer:  KindGitHub.DefaultIssuer(),
		Subject: sub,
		Claims:  map[string]string{"repository": repository, "repository_id": id, "repository_owner_id": owner},
	}
}

// trust makes a trust.
func trust(t *testing.T, a *Accounts, want Trust) Trust {
	t.Helper()
	made, err := a.AddTrust(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestAdmit(t *testing.T) {
	a := open(t)
	made := trust(t, a, Trust{Kind: KindGitHub, Subject: "repo:acme/web", Names: []string{"web-pr-*"}, MaxTunnels: 3,
		MaxExchanges: 4, RequestsPerSecond: 5, BytesPerSecond: 6 << 40})
	if made.Account != "github:acme/web" || made.Issuer != "https://token.actions.githubusercontent.com" || made.Pinned() {
		t.Errorf("%+v", made)
	}
	job := github("Acme/web", "repo:Acme/web:pull_request", "7", "1")
	token, err := a.Admit(t.Context(), job)
	if err != nil || token.ID != made.ID || token.Account != made.Account || token.MaxTunnels != 3 || !token.MayBind("web-pr-1") || token.MayBind("x") {
		t.Fatalf("%+v, %v", token, err)
	}
	if token.MaxExchanges != 4 || token.RequestsPerSecond != 5 || token.BytesPerSecond != 6<<40 {
		t.Errorf("quotas: got %+v", token)
	}
	all, err := a.Trusts(t.Context())
	if err != nil || len(all) != 1 || !all[0].Pinned() || all[0].Pins["repository_id"] != "7" || all[0].Pins["repository_owner_id"] != "1" {
		t.Fatalf("%+v, %v: want it pinned", all, err)
	}
	for name, c := range map[string]struct {
		id   Identity
		want error
	}{
		"again":                    {job, nil},
		"another event":            {github("acme/web", "repo:acme/web:ref:refs/heads/main", "7", "1"), nil},
		"registered anew":          {github("acme/web", "repo:acme/web:pull_request", "8", "1"), ErrOther},
		"under another owner":      {github("acme/web", "repo:acme/web:pull_request", "7", "2"), ErrOther},
		"without ids":              {github("acme/web", "repo:acme/web:pull_request", "", ""), ErrUntrusted},
		"another repository":       {github("acme/api", "repo:acme/api:pull_request", "7", "1"), ErrUntrusted},
		"a repository that begins": {github("acme/web2", "repo:acme/web2:pull_request", "7", "1"), ErrUntrusted},
		"of another issuer":        {Identity{Issuer: "https://other.example.com", Subject: job.Subject, Claims: job.Claims}, ErrUntrusted},
		"by its sub alone":         {github("evil/web", "repo:acme/web:pull_request", "7", "1"), ErrUntrusted},
	} {
		if _, err := a.Admit(t.Context(), c.id); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if lives, err := a.Lives(t.Context(), made.ID); err != nil || !lives {
		t.Errorf("it lives: %v, %v", lives, err)
	}
	if _, err := a.RemoveTrust(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	if lives, err := a.Lives(t.Context(), made.ID); err != nil || lives {
		t.Errorf("it lives after its end: %v, %v", lives, err)
	}
	if _, err := a.Admit(t.Context(), job); !errors.Is(err, ErrUntrusted) {
		t.Errorf("admitted after its end: %v", err)
	}
	for _, id := range []string{made.ID, "", "x", "../token"} {
		if _, err := a.RemoveTrust(t.Context(), id); !errors.Is(err, ErrUnknown) {
			t.Errorf("remove %q: %v", id, err)
		}
	}
}

func TestAdmitSubjects(t *testing.T) {
	gitlab := func(path, sub string) Identity {
		return Identity{Issuer: "https://gitlab.com", Subject: sub, Claims: map[string]string{"project_path": path, "project_id": "1", "namespace_id": "2"}}
	}
	other := func(sub string) Identity { return Identity{Issuer: "https://ci.example.com", Subject: sub} }
	tests := []struct {
		trust Trust
		id    Identity
		want  bool
	}{
		{Trust{Kind: KindGitHub, Subject: "repo:acme/web:environment:preview"}, github("acme/web", "repo:acme/web:environment:preview", "1", "2"), true},
		{Trust{Kind: KindGitHub, Subject: "repo:acme/web:environment:preview"}, github("acme/web", "repo:acme/web:environment:preview2", "1", "2"), false},
		{Trust{Kind: KindGitHub, Subject: "repo:acme/web:ref:refs/heads/*"}, github("acme/web", "repo:acme/web:ref:refs/heads/a/b", "1", "2"), true},
		{Trust{Kind: KindGitHub, Subject: "repo:acme/web:ref:refs/heads/*"}, github("acme/web", "repo:acme/web:pull_request", "1", "2"), false},
		{Trust{Kind: KindGitHub, Subject: "repo:acme/web:pull_request"}, github("acme/web", "repo:acme@1/web@2:pull_request", "1", "2"), true},
		{Trust{Kind: KindGitHub, Subject: "repo:acme/web:pull_request"}, github("acme/web", "repository_owner_id:2:pull_request", "1", "2"), false},
		{Trust{Kind: KindGitLab, Subject: "project_path:acme/team/web"}, gitlab("acme/team/web", "project_path:acme/team/web:ref_type:branch:ref:main"), true},
		{Trust{Kind: KindGitLab, Subject: "project_path:acme/web:ref_type:branch:ref:main"}, gitlab("acme/web", "project_path:acme/web:ref_type:branch:ref:x"), false},
		{Trust{Kind: KindOIDC, Issuer: "https://ci.example.com", Subject: "pipeline/*", Account: "ci"}, other("pipeline/7"), true},
		{Trust{Kind: KindOIDC, Issuer: "https://ci.example.com", Subject: "pipeline/*", Account: "ci"}, other("x/pipeline/7"), false},
	}
	for _, tt := range tests {
		a := open(t)
		trust(t, a, tt.trust)
		if _, err := a.Admit(t.Context(), tt.id); (err == nil) != tt.want || err != nil && !errors.Is(err, ErrUntrusted) {
			t.Errorf("%s and %s: %v, want %v", tt.trust.Subject, tt.id.Subject, err, tt.want)
		}
	}
}

// Of several trusts the one with the longest subject counts, and one for other
// ids is no hindrance.
func TestAdmitSeveral(t *testing.T) {
	a := open(t)
	trust(t, a, Trust{Kind: KindGitHub, Subject: "repo:acme/web", Account: "all"})
	trust(t, a, Trust{Kind: KindGitHub, Subject: "repo:acme/web:pull_request", Account: "pr"})
	trust(t, a, Trust{Kind: KindGitHub, Subject: "repo:acme/web:ref:refs/heads/main", Account: "old", Pins: map[string]string{"repository_id": "6"}})
	for sub, want := range map[string]string{"pull_request": "pr", "ref:refs/heads/main": "all", "ref:refs/heads/x": "all"} {
		token, err := a.Admit(t.Context(), github("acme/web", "repo:acme/web:"+sub, "7", "1"))
		if err != nil || token.Account != want {
			t.Errorf("%s: %s, %v, want %s", sub, token.Account, err, want)
		}
	}
}

// A trust that was not used in time learns nothing any more.
func TestAdmitLate(t *testing.T) {
	a := open(t)
	now := time.Now()
	a.now = func() time.Time { return now }
	trust(t, a, Trust{Kind: KindGitHub, Subject: "repo:acme/web"})
	given := trust(t, a, Trust{Kind: KindGitHub, Subject: "repo:acme/api", Pins: map[string]string{"repository_id": "7", "repository_owner_id": "1"}})
	if !given.Pinned() {
		t.Errorf("%+v is not pinned", given)
	}
	now = now.Add(pinWithin + time.Minute)
	if _, err := a.Admit(t.Context(), github("acme/web", "repo:acme/web:pull_request", "7", "1")); !errors.Is(err, ErrLate) {
		t.Errorf("got %v", err)
	}
	if _, err := a.Admit(t.Context(), github("acme/api", "repo:acme/api:pull_request", "7", "1")); err != nil {
		t.Errorf("ids were given: %v", err)
	}
}

// Of two that come first at once, one is who the trust is for.
func TestAdmitRace(t *testing.T) {
	a := open(t)
	trust(t, a, Trust{Kind: KindGitHub, Subject: "repo:acme/web"})
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = a.Admit(t.Context(), github("acme/web", "repo:acme/web:pull_request", fmt.Sprint(i%2+1), "1"))
		})
	}
	wg.Wait()
	in := 0
	for i, err := range errs {
		switch {
		case err == nil:
			in++
		case !errors.Is(err, ErrOther):
			t.Error(err)
		}
		if (err == nil) != (errs[i%2] == nil) {
			t.Errorf("of one identity some are admitted: %v", errs)
		}
	}
	if in != 4 {
		t.Errorf("%d are admitted: %v", in, errs)
	}
}

// However many ask at once, a subject has one trust: it would be trusted on when
// that is removed.
func TestAddTrustAtOnce(t *testing.T) {
	a := open(t)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() { _, errs[i] = a.AddTrust(t.Context(), Trust{Kind: KindGitHub, Subject: "repo:acme/web"}) })
	}
	wg.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
		} else if _, ok := errors.AsType[*ConflictError](err); !ok {
			t.Error(err)
		}
	}
	if trusts, err := a.Trusts(t.Context()); err != nil || len(trusts) != 1 || made != 1 {
		t.Errorf("%d were made: %+v, %v", made, trusts, err)
	}
}

func TestAddTrustRefused(t *testing.T) {
	a := open(t)
	pin := func(claim, id string) map[string]string { return map[string]string{claim: id} }
	const web = "repo:acme/web"
	for name, c := range map[string]struct {
		trust Trust
		want  string
	}{
		"no kind":             {Trust{Subject: web}, "github, gitlab or oidc"},
		"no subject":          {Trust{Kind: KindGitHub}, "repo:OWNER/NAME"},
		"no prefix":           {Trust{Kind: KindGitHub, Subject: "acme/web"}, "repo:OWNER/NAME"},
		"gitlab's":            {Trust{Kind: KindGitHub, Subject: "project_path:acme/web"}, "repo:OWNER/NAME"},
		"github's":            {Trust{Kind: KindGitLab, Subject: web}, "project_path:OWNER/NAME"},
		"many repositories":   {Trust{Kind: KindGitHub, Subject: "repo:acme/*"}, "for one repository"},
		"no repository":       {Trust{Kind: KindGitHub, Subject: "repo:acme"}, "repo:OWNER/NAME"},
		"three parts":         {Trust{Kind: KindGitHub, Subject: "repo:acme/web/x"}, "repo:OWNER/NAME"},
		"an empty rest":       {Trust{Kind: KindGitHub, Subject: web + ":"}, "repo:OWNER/NAME"},
		"a space":             {Trust{Kind: KindGitHub, Subject: web + ":a b"}, "printable"},
		"a long subject":      {Trust{Kind: KindGitHub, Subject: web + ":" + strings.Repeat("x", maxSubject)}, "at most 255"},
		"an issuer in plain":  {Trust{Kind: KindGitHub, Subject: web, Issuer: "http://x"}, "an issuer is a URL"},
		"an issuer with more": {Trust{Kind: KindGitHub, Subject: web, Issuer: "https://x?y"}, "an issuer is a URL"},
		"no issuer":           {Trust{Kind: KindOIDC, Subject: "x", Account: "ci"}, "an issuer is a URL"},
		"everybody":           {Trust{Kind: KindOIDC, Subject: "**", Account: "ci", Issuer: "https://x"}, "not them alone"},
		"GitHub by its sub":   {Trust{Kind: KindOIDC, Subject: "repo:*", Account: "ci", Issuer: KindGitHub.DefaultIssuer()}, "share relay trust github"},
		"no account":          {Trust{Kind: KindOIDC, Subject: "x", Issuer: "https://x"}, "a label has"},
		"another id":          {Trust{Kind: KindGitHub, Subject: web, Pins: pin("actor_id", "1")}, "is no id of github"},
		"an id of oidc":       {Trust{Kind: KindOIDC, Subject: "x", Account: "ci", Issuer: "https://x", Pins: pin("sub", "1")}, "is no id of oidc"},
		"an id that is none":  {Trust{Kind: KindGitHub, Subject: web, Pins: pin("repository_id", "acme")}, "is a number"},
		"a bad pattern":       {Trust{Kind: KindGitHub, Subject: web, Names: []string{"-*"}}, "no name matches"},
		"a bad number":        {Trust{Kind: KindGitHub, Subject: web, MaxTunnels: -1}, "negative"},
	} {
		_, err := a.AddTrust(t.Context(), c.trust)
		if _, ok := errors.AsType[*InvalidError](err); !ok || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	trust(t, a, Trust{Kind: KindGitHub, Subject: web})
	_, err := a.AddTrust(t.Context(), Trust{Kind: KindGitHub, Subject: "repo:Acme/Web"})
	if _, ok := errors.AsType[*ConflictError](err); !ok {
		t.Errorf("a second: %v", err)
	}
	if trusts, err := a.Trusts(t.Context()); err != nil || len(trusts) != 1 {
		t.Errorf("%+v, %v: want one", trusts, err)
	}
}
