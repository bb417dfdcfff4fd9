package command

import (
	"testing"

	"share/tunnel/cmdline"
)

func TestLocalContradicted(t *testing.T) {
	tests := []struct {
		wanted   bool
		relays   []string
		variable string
		lan      bool
		ok       bool
	}{
		{true, nil, "", false, true},
		{true, []string{"a.example.com"}, "", false, false},
		{true, []string{"a.example.com", "b.example.com"}, "a.example.com, b.example.com", false, true},
		{true, []string{"a.example.com"}, "b.example.com", false, false},
		{true, nil, "", true, false},
		{false, []string{"a.example.com"}, "", false, true},
		{false, nil, "", true, true},
	}
	for _, tt := range tests {
		l := local{wanted: tt.wanted}
		err := l.check(tt.relays, tt.variable, tt.lan)
		if tt.ok != (err == nil) {
			t.Errorf("%+v: got %v", tt, err)
		}
		if e, _ := err.(*cmdline.Error); err != nil && (e == nil || e.Code != cmdline.ExitUsage) {
			t.Errorf("%+v: got %v, want exit code 2", tt, err)
		}
	}
}
