package acme

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
)

const (
	// lookEvery is how often a certificate is looked at: is it time to renew
	// it?
	lookEvery = 10 * time.Minute

	// orderTimeout bounds an order, from its first request to the certificate.
	orderTimeout = 5 * time.Minute

	// workers is how many orders for single hosts go on at a time.
	workers = 4
)

// pause is how long after so many failures before the next try is made. A CA
// takes five failures an hour for a host.
func pause(failures int) time.Duration {
	pauses := []time.Duration{10 * time.Second, time.Minute, 10 * time.Minute, 30 * time.Minute}
	if failures < len(pauses) {
		return pauses[failures]
	}
	return time.Hour
}

// A keeper is what Run does its work with.
type keeper struct {
	*Certificates
	cache *certmagic.Cache
	magic *certmagic.Config
}

// newKeeper returns a keeper, whose cache has to be stopped. The library looks
// after what is in its cache by itself; nothing is left there, so that what is
// done ends with Run.
func (c *Certificates) newKeeper() *keeper {
	k := &keeper{Certificates: c}
	k.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return nil, errNotLoaded },
		RenewCheckInterval: lookEvery,
		Logger:             c.library.Logger,
	})
	k.magic = certmagic.New(k.cache, c.library)
	return k
}

// tend looks at the certificates there are, until ctx ends.
func (k *keeper) tend(ctx context.Context) {
	sweep := time.Now().Add(sweepAfter)
	for {
		names, next := k.due(time.Now())
		slices.Sort(names)
		for _, name := range names {
			if ctx.Err() != nil {
				return
			}
			k.look(ctx, name)
		}
		if now := time.Now(); now.After(sweep) {
			k.sweep(ctx, now)
			sweep = now.Add(sweepEvery)
		}
		if len(names) > 0 {
			continue // time has gone by
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// look does what is due for the certificate of a host.
func (k *keeper) look(ctx context.Context, name string) {
	if slices.Contains(k.fixed, name) {
		k.renew(ctx, name)
		return
	}
	switch want := k.wants(name); {
	case want == Obtain:
		k.renew(ctx, name)
	case want == Show && !k.ended(name):
		k.settle(name, nil)
	default:
		k.forget(name)
		if want == Nothing && !strings.HasSuffix(name, "."+k.cfg.Domain) {
			k.remove(ctx, name) // it was taken away, and does not come back with an agent
		}
	}
}

// work obtains certificates for single hosts until ctx ends.
func (k *keeper) work(ctx context.Context) {
	for {
		select {
		case name := <-k.asked:
			switch {
			case k.stored(ctx, name):
				k.settle(name, nil)
			case k.wants(name) != Obtain:
				k.dismiss(name)
			case !k.limit.Allow():
				k.tell(name, k.settle(name, errTooMany))
			default:
				k.renew(ctx, name)
			}
		case <-ctx.Done():
			return
		}
	}
}

// renew obtains the certificate of a host if there is none, or if it is time
// for another.
func (k *keeper) renew(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	k.discard(ctx, name)
	err := k.magic.ManageSync(ctx, []string{name})
	if errors.Is(ctx.Err(), context.Canceled) {
		err = ctx.Err() // the relay stops
	}
	pair, lerr := k.load(ctx, name)
	if err == nil {
		err = lerr
	}
	if pair != nil && k.show(name, pair) {
		k.log.Info("certificate shown", "host", name, "issuer", pair.Leaf.Issuer.CommonName, "until", pair.Leaf.NotAfter)
	}
	h := k.settle(name, err)
	if !errors.Is(err, context.Canceled) {
		k.tell(name, h)
	}
}

// stored shows the certificate of a host that was obtained before, if there is
// one that has not ended.
func (k *keeper) stored(ctx context.Context, name string) bool {
	pair, err := k.load(ctx, name)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			k.log.Warn("a stored certificate cannot be used", "host", name, "error", err.Error())
		}
		return false
	}
	if time.Now().After(pair.Leaf.NotAfter) {
		return false
	}
	if k.show(name, pair) {
		k.log.Info("stored certificate shown", "host", name, "until", pair.Leaf.NotAfter)
	}
	return true
}

// discard deletes what is stored for a host if it makes no certificate: files that
// were being replaced when the machine failed, of which the library would try to
// make one for ever. Files that cannot be read stay.
func (k *keeper) discard(ctx context.Context, name string) {
	_, err := k.load(ctx, name)
	if _, unread := errors.AsType[*fs.PathError](err); err == nil || unread {
		return
	}
	k.remove(ctx, name)
}

// load reads the certificate of a host from the folder.
func (k *keeper) load(ctx context.Context, name string) (*tls.Certificate, error) {
	cert, err := k.magic.CacheManagedCertificate(context.WithoutCancel(ctx), name)
	if err != nil {
		return nil, err
	}
	for _, subject := range cert.Names {
		k.cache.RemoveManaged([]certmagic.SubjectIssuer{{Subject: subject}})
	}
	if err := cert.Leaf.VerifyHostname(strings.Replace(name, "*.", "any.", 1)); err != nil {
		return nil, err
	}
	return &cert.Certificate, nil
}

// tell says what it means for visitors that an order has failed.
func (k *keeper) tell(name string, h host) {
	switch {
	case h.err == nil:
	case h.pair == nil:
		k.log.Warn("there is no certificate, and who comes by TLS is turned away", "host", name, "retry", time.Until(h.due).Round(time.Second).String(), "error", reason(h.err))
	case time.Now().After(h.pair.Leaf.NotAfter):
		k.log.Error("the certificate has ended and cannot be renewed", "host", name, "until", h.pair.Leaf.NotAfter, "retry", time.Until(h.due).Round(time.Second).String(), "error", reason(h.err))
	default:
		k.log.Warn("the certificate cannot be renewed: the stored one serves on", "host", name, "until", h.pair.Leaf.NotAfter, "retry", time.Until(h.due).Round(time.Second).String(), "error", reason(h.err))
	}
}
