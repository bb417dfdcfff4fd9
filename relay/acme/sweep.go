package acme

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"path"
	"time"

	"github.com/caddyserver/certmagic"
)

const (
	// sweepAfter and sweepEvery are when it is looked for stored certificates
	// that have ended: not at once, when a clock may not have been set yet.
	sweepAfter = time.Hour
	sweepEvery = 24 * time.Hour

	// keepEnded is how long they stay.
	keepEnded = 7 * 24 * time.Hour

	// allCertificates is where they are in the folder, below their CA's key and
	// their host.
	allCertificates = "certificates"
)

// remove deletes what is stored for a host.
func (k *keeper) remove(ctx context.Context, name string) {
	prefix := certmagic.StorageKeys.CertsSitePrefix(k.magic.Issuers[0].IssuerKey(), name)
	if err := k.magic.Storage.Delete(ctx, prefix); err != nil {
		k.log.Warn("a stored certificate that is of no use stays", "host", name, "error", err.Error())
	}
}

// sweep deletes the stored certificates that had ended some time before now, but
// for those that are looked after: hosts come and go.
func (k *keeper) sweep(ctx context.Context, now time.Time) {
	known := k.known()
	for _, ca := range k.list(ctx, allCertificates) {
		for _, site := range k.list(ctx, ca) {
			if ctx.Err() != nil {
				return
			}
			ends, ok := k.storedUntil(ctx, path.Join(site, path.Base(site)+".crt"))
			if !ok || known[path.Base(site)] || now.Before(ends.Add(keepEnded)) {
				continue
			}
			if err := k.magic.Storage.Delete(ctx, site); err != nil {
				k.log.Warn("a stored certificate that has ended stays", "file", site, "error", err.Error())
			}
		}
	}
}

// known returns the hosts that are looked after, as they are called in the folder.
func (c *Certificates) known() map[string]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := make(map[string]bool, len(c.hosts))
	for name := range c.hosts {
		known[certmagic.StorageKeys.Safe(name)] = true
	}
	return known
}

// list returns what is in a folder, nothing if there is none.
func (k *keeper) list(ctx context.Context, dir string) []string {
	keys, err := k.magic.Storage.List(ctx, dir, false)
	if err != nil {
		return nil
	}
	return keys
}

// storedUntil returns when a stored certificate ends; ok is false if it is none.
func (k *keeper) storedUntil(ctx context.Context, file string) (ends time.Time, ok bool) {
	text, err := k.magic.Storage.Load(ctx, file)
	if err != nil {
		return ends, false
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return ends, false
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return ends, false
	}
	return cert.NotAfter, true
}
