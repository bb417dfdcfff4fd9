package acme

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"share/relay/dns"
	"share/testdata/pebble"
)

// obtained waits for the certificates of the domain and of names below it, and
// looks at them and at what else there is.
func obtained(t *testing.T, ca *pebble.CA, k *kept) {
	t.Helper()
	k.await("share.test", nil)
	k.await("web.share.test", nil)
	for _, host := range []string{"share.test", "web.share.test", "pr-7.share.test"} {
		trusted(t, ca, k, host)
	}
	if got := k.leaf("SHARE.test."); got == nil || got.VerifyHostname("share.test") != nil {
		t.Error("a name is not the same in capitals and with a dot at its end")
	}
	if got := k.leaf(""); got == nil || got.VerifyHostname("share.test") != nil {
		t.Error("who names no host is not shown the domain's certificate")
	}
	for _, host := range []string{"a.web.share.test", "other.test", "xshare.test", ".share.test"} {
		if got := k.leaf(host); got != nil {
			t.Errorf("%s is shown a certificate for %v", host, got.DNSNames)
		}
	}
	if got := ca.Orders(); got != 2 {
		t.Errorf("there were %d orders, want 2", got)
	}
	ends := []time.Time{k.leaf("share.test").NotAfter, k.leaf("web.share.test").NotAfter}
	if got := k.Expiry(); !got.Equal(slices.MinFunc(ends, time.Time.Compare)) {
		t.Errorf("the first of %v is %v", ends, got)
	}
}

func TestObtainByOwnDNS(t *testing.T) {
	records, addr := startDNS(t)
	ca := startCA(t, pebble.Config{Resolver: addr})
	dir := filepath.Join(t.TempDir(), "acme")
	k := keep(t, ca, dir, records, nil)
	obtained(t, ca, k)
	private(t, dir)
}

// private fails the test if others can read what is in a folder.
func private(t *testing.T, dir string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		return
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v", path, info.Mode())
		}
		if !d.IsDir() {
			files++
		}
		return nil
	})
	if err != nil || files < 8 { // two certificates, their keys and data, and the account
		t.Errorf("%d files, %v", files, err)
	}
}

func TestObtainByUpdate(t *testing.T) {
	key := dns.Key{Name: "share.", Algorithm: "hmac-sha256.", Secret: "c2VjcmV0"}
	p := &pebble.Primary{Zone: "share.test.", Key: key.Name, Secret: key.Secret, Algorithm: key.Algorithm}
	addr, err := p.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ca := startCA(t, pebble.Config{Resolver: addr})
	updater, err := dns.NewUpdater(addr, key)
	if err != nil {
		t.Fatal(err)
	}
	k := keep(t, ca, t.TempDir(), updater, nil)
	obtained(t, ca, k)
	if left, updates := p.Texts("_acme-challenge.share.test."); len(left) > 0 || updates != 4 {
		t.Errorf("%d updates have left %q", updates, left)
	}
}

func TestObtainByHook(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the hook is a shell's")
	}
	dir := t.TempDir()
	values := filepath.Join(dir, "values")
	program := writeHook(t, fmt.Sprintf(`
case $1 in
present) echo "$3" >>%[1]s;;
cleanup) grep -v -e "$3" %[1]s >%[1]s.new; mv %[1]s.new %[1]s;;
esac
echo "$1 $2" >>%[1]s.log
`, values))
	records, addr := startDNS(t)
	ca := startCA(t, pebble.Config{Resolver: addr})
	hook, err := NewHook(program)
	if err != nil {
		t.Fatal(err)
	}
	k := keep(t, ca, filepath.Join(dir, "acme"), &mirror{hook, values, records}, nil)
	obtained(t, ca, k)
	k.stop()
	log, err := os.ReadFile(values + ".log")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"present _acme-challenge.share.test.\n", "cleanup _acme-challenge.share.test.\n"} {
		if got := strings.Count(string(log), line); got != 2 {
			t.Errorf("the hook was run %d times with %q: %s", got, line, log)
		}
	}
	if left, err := os.ReadFile(values); err != nil || len(left) > 0 {
		t.Errorf("%q is left, %v", left, err)
	}
}

// A mirror shows in a DNS server what a hook has written to a file.
type mirror struct {
	*Hook
	file string
	dns  *dns.Server
}

func (m *mirror) Present(ctx context.Context, fqdn, value string) error {
	if err := m.Hook.Present(ctx, fqdn, value); err != nil {
		return err
	}
	text, err := os.ReadFile(m.file)
	if err != nil {
		return err
	}
	for value := range strings.FieldsSeq(string(text)) {
		if err := m.dns.Present(ctx, fqdn, value); err != nil {
			return err
		}
	}
	return nil
}

// writeHook writes a shell's program and returns its path.
func writeHook(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hook")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}
