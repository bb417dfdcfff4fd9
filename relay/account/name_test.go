package account

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"share/relay/store"
)

func TestNames(t *testing.T) {
	a := open(t)
	var all []Name
	for i := range store.MaxRange + store.MaxWrites { // more than a page, and than a commit
		all = append(all, Name{Name: fmt.Sprintf("n%05d", i), Account: "ci"})
	}
	all[0].Left, all[1].Reserved = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), true
	if err := a.Keep(t.Context(), all...); err != nil {
		t.Fatal(err)
	}
	got, err := a.Names(t.Context())
	if err != nil || !reflect.DeepEqual(got, all) {
		t.Fatalf("%d names, %v; want %d, as %+v", len(got), err, len(all), all[:2])
	}
	all[1].Reserved, all[1].Account = false, "web"
	if err := a.Keep(t.Context(), all[1]); err != nil {
		t.Fatal(err)
	}
	if err := a.Forget(t.Context(), "n00000", "nosuch"); err != nil {
		t.Fatal(err)
	}
	if got, err := a.Names(t.Context()); err != nil || !reflect.DeepEqual(got, all[1:]) {
		t.Errorf("%d names, %v; want %d", len(got), err, len(all)-1)
	}
}
