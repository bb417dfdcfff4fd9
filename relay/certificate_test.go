package relay

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// due makes the next look at a certificate look at its files.
func due(c *Certificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checked = time.Time{}
}

// notDue makes c not look at its files, however long the machine stalls.
func notDue(c *Certificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checked = time.Now().Add(time.Hour)
}

// touch moves the times of a certificate's files, which a quick test may have
// written in one tick of the file system's clock.
func touch(t *testing.T, c *Certificate, by time.Duration) {
	t.Helper()
	for _, name := range []string{c.certFile, c.keyFile} {
		if err := os.Chtimes(name, time.Time{}, time.Now().Add(by)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCertificateFollowsItsFiles(t *testing.T) {
	dir := t.TempDir()
	c, err := LoadCertificate(writePair(t, dir, "old.test"))
	if err != nil {
		t.Fatal(err)
	}
	old := c.current()
	if !c.Covers("old.test") || c.Covers("new.test") {
		t.Error("it does not cover what it says")
	}

	// Not more often than each second.
	writePair(t, dir, "new.test")
	touch(t, c, time.Hour)
	if notDue(c); c.current() != old {
		t.Error("the files are read each time")
	}
	due(c)
	if next := c.current(); next == old || !c.Covers("new.test") || c.Covers("old.test") {
		t.Error("the new files are not used")
	}

	// Half replaced, broken or gone: the old pair stays, and it is said once.
	next := c.current()
	key, err := os.ReadFile(c.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	writePair(t, dir, "third.test")
	other, err := os.ReadFile(c.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(c.keyFile, key, 0o600)
	touch(t, c, 2*time.Hour)
	for range 3 {
		if due(c); c.current() != next {
			t.Error("a certificate without its key is used")
		}
	}
	if err := c.problem(); err == nil || !strings.Contains(err.Error(), c.certFile) {
		t.Errorf("the problem is %v", err)
	}
	if err := c.problem(); err != nil {
		t.Errorf("the problem is told twice: %v", err)
	}
	os.WriteFile(c.keyFile, other, 0o600)
	touch(t, c, 3*time.Hour)
	if due(c); c.current() == next || !c.Covers("third.test") || c.problem() != nil {
		t.Error("files that are right again are not used")
	}
	third := c.current()
	away := c.certFile + ".away"
	os.Rename(c.certFile, away)
	for range 2 {
		if due(c); c.current() != third {
			t.Error("without files there is no certificate")
		}
	}
	if err := c.problem(); err == nil || !strings.Contains(err.Error(), c.certFile) {
		t.Errorf("without files the problem is %v", err)
	}
	if err := c.Reload(); err == nil {
		t.Error("files that are gone are read again")
	}
	os.Rename(away, c.certFile)
	if due(c); c.current() == nil || !c.Covers("third.test") || c.problem() != nil {
		t.Error("files that are there again are not right")
	}
	if err := c.Reload(); err != nil {
		t.Errorf("files that are there again: %v", err)
	}
}

func TestLoadCertificate(t *testing.T) {
	cert, key := writePair(t, t.TempDir(), "a.test")
	_, otherKey := writePair(t, t.TempDir(), "a.test")
	garbage := filepath.Join(t.TempDir(), "garbage")
	os.WriteFile(garbage, []byte("no PEM"), 0o600)
	large := filepath.Join(t.TempDir(), "large")
	os.WriteFile(large, nil, 0o600)
	os.Truncate(large, maxPEM+1)
	if _, err := LoadCertificate(cert, large); err == nil || !strings.Contains(err.Error(), "more than 1048576 bytes") {
		t.Errorf("a file without end: %v", err)
	}
	for name, files := range map[string][2]string{
		"no certificate":      {filepath.Join(t.TempDir(), "none"), key},
		"no key":              {cert, filepath.Join(t.TempDir(), "none")},
		"the key of another":  {cert, otherKey},
		"swapped":             {key, cert},
		"no PEM":              {garbage, garbage},
		"a folder":            {t.TempDir(), key},
		"a key that is a dir": {cert, t.TempDir()},
	} {
		if c, err := LoadCertificate(files[0], files[1]); err == nil || c != nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want an error of one line", name, err)
		}
	}
}

func TestCovers(t *testing.T) {
	c := newCertificate(t, "share.test", "*.share.test")
	for host, want := range map[string]bool{
		"share.test": true, "a.share.test": true, "SHARE.test": true,
		"a.b.share.test": false, "other.test": false, "127.0.0.1": false, "::1": false, "": false,
	} {
		if got := c.Covers(host); got != want {
			t.Errorf("%q: got %v, want %v", host, got, want)
		}
	}
}
