package credential

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"share/tunnel/cmdline"
)

const whole = `{"version":1,"default":"https://one.example.com","logins":[{"relay":"https://one.example.com","account":"ci","token":"s3cret-token"}]}`

func TestUnusableFile(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		mode       os.FileMode
		want       string // of the error; empty if there is none
	}{
		{"whole", whole, 0o600, ""},
		{"its owner may only read it", whole, 0o400, ""},
		{"others may read it", whole, 0o604, "mode 0604: run chmod 600 "},
		{"a group may read it", whole, 0o640, "mode 0640: run chmod 600 "},
		{"others may write it", whole, 0o602, "mode 0602: run chmod 600 "},
		{"empty", "", 0o600, "damaged: share login RELAY writes it anew"},
		{"cut", whole[:len(whole)-1], 0o600, "damaged"},
		{"two", whole + whole, 0o600, "damaged"},
		{"no version", `{"logins":[]}`, 0o600, "damaged"},
		{"a later version", `{"version":2,"who":"knows"}`, 0o600, "install the version of share that has written it"},
		{"an unknown field", `{"version":1,"logins":[],"x":1}`, 0o600, "damaged"},
		{"no such default", `{"version":1,"default":"https://two.example.com","logins":[]}`, 0o600, "damaged"},
		{"no relay", `{"version":1,"logins":[{"relay":"://","token":"x"}]}`, 0o600, "damaged"},
		{"a relay written otherwise", `{"version":1,"logins":[{"relay":"one.example.com","token":"x"}]}`, 0o600, "damaged"},
		{"a relay twice", `{"version":1,"logins":[{"relay":"https://one.example.com"},{"relay":"https://one.example.com"}]}`, 0o600, "damaged"},
		{"no token", `{"version":1,"logins":[{"relay":"https://one.example.com","token":"a b"}]}`, 0o600, "damaged"},
		{"too long", string(make([]byte, maxFile+1)), 0o600, "has more than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.mode&0o077 != 0 && runtime.GOOS == "windows" {
				t.Skip("a file has no mode there")
			}
			s := &Store{Dir: t.TempDir()}
			if err := os.WriteFile(s.path(), []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(s.path(), tt.mode); err != nil {
				t.Fatal(err)
			}
			_, err := s.Load()
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantCode(t, err, cmdline.ExitConfig, tt.want)
			// What is damaged is no loss; all else is left alone.
			_, err = s.Keep(t.Context(), one, "ci", secret, true)
			if damaged := strings.HasPrefix(tt.want, "damaged"); (err == nil) != damaged {
				t.Errorf("Keep: %v", err)
			}
		})
	}
}

func TestFileOfAnother(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	s := &Store{Dir: t.TempDir()}
	keep(t, s, one, secret, true)
	if err := os.Chown(s.path(), 1, 1); err != nil {
		t.Fatal(err)
	}
	_, err := s.Load()
	wantCode(t, err, cmdline.ExitConfig, "is another user's")
}

// What is kept is for its owner alone.
func TestWrittenMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file has no mode there")
	}
	s := &Store{Dir: filepath.Join(t.TempDir(), "share")}
	keep(t, s, one, secret, true)
	for path, want := range map[string]os.FileMode{s.Dir: os.ModeDir | 0o700, s.path(): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: got %v, %v, want %v", path, info.Mode(), err, want)
		}
	}
}

// FuzzParse states that what is read is written as it was, that the file of a token
// is where it is found, and that an error repeats nothing.
func FuzzParse(f *testing.F) {
	for _, s := range []string{whole, `{"version":1,"logins":[{"relay":"https://one.example.com","account":"é"}]}`, `{"version":2}`, "{", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		logins, err := parse(text, "/path")
		if err != nil {
			if logins != nil || !errors.Is(err, ErrDamaged) && err.Error() != "a later version of share has written it" {
				t.Fatalf("got %+v, %v", logins, err)
			}
			return
		}
		for _, l := range logins.All {
			if (l.token == "") != (l.Place == inKeyring) || l.token != "" && l.Place != "/path" {
				t.Errorf("a login %+v", l)
			}
		}
		again, err := parse(render(logins), "/path")
		if err != nil || string(render(again)) != string(render(logins)) {
			t.Errorf("got %+v, %v, want %+v", again, err, logins)
		}
	})
}
