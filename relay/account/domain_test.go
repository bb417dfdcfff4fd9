package account

import (
	"reflect"
	"testing"
	"time"
)

func TestDomains(t *testing.T) {
	a := open(t)
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	all := []Domain{
		{Domain: "a.test", Name: "web", Account: "acme", Token: "one", Added: at, Verified: at},
		{Domain: "b.test", Name: "web", Account: "acme", Token: "two", Added: at},
		{Domain: "c.test", Name: "web", Account: "acme", Token: "three", Added: at, Verified: at, Doubted: at},
	}
	for _, d := range []Domain{all[1], all[2], all[0]} {
		if err := a.KeepDomain(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := a.Domains(t.Context()); err != nil || !reflect.DeepEqual(got, all) {
		t.Errorf("got %v, %v; want %v", got, err, all)
	}
	all[1].Verified = at
	if err := a.KeepDomain(t.Context(), all[1]); err != nil {
		t.Fatal(err)
	}
	if err := a.ForgetDomain(t.Context(), "a.test"); err != nil {
		t.Fatal(err)
	}
	if got, err := a.Domains(t.Context()); err != nil || !reflect.DeepEqual(got, all[1:]) {
		t.Errorf("got %v, %v; want %v", got, err, all[1:])
	}
}
