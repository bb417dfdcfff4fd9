package acme

import (
	"context"
	"crypto/tls"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/mholt/acmez/v3"
	acmeapi "github.com/mholt/acmez/v3/acme"
)

// Protocol is what a CA asks for by ALPN when it wants a proof (RFC 8737).
const Protocol = acmez.ACMETLS1Protocol

// proofPath is where a CA looks over HTTP (RFC 8555 8.3).
const proofPath = "/.well-known/acme-challenge/"

// IsProof reports whether a handshake is a CA's, which wants a proof and then
// nothing more.
func IsProof(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == Protocol
}

// proofs are what a CA is shown at the relay's own doors.
type proofs struct {
	mu    sync.Mutex
	plain bool                        // guarded by mu; a CA is shown texts
	texts map[string]string           // guarded by mu; by the path's last segment
	pairs map[string]*tls.Certificate // guarded by mu; by host
}

func (p *proofs) setPlain(plain bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plain = plain
}

func (p *proofs) isPlain() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.plain
}

func (p *proofs) text(path string) (string, bool) {
	token, ok := strings.CutPrefix(path, proofPath)
	if !ok {
		return "", false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	text, ok := p.texts[token]
	return text, ok
}

func (p *proofs) certificate(host string) *tls.Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pairs[host]
}

// An httpProof proves a host over HTTP.
type httpProof struct{ *proofs }

func (p httpProof) Present(_ context.Context, c acmeapi.Challenge) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.texts == nil {
		p.texts = make(map[string]string)
	}
	p.texts[c.Token] = c.KeyAuthorization
	return nil
}

func (p httpProof) CleanUp(_ context.Context, c acmeapi.Challenge) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.texts, c.Token)
	return nil
}

// An alpnProof proves a host by a handshake.
type alpnProof struct{ *proofs }

func (p alpnProof) Present(_ context.Context, c acmeapi.Challenge) error {
	pair, err := acmez.TLSALPN01ChallengeCert(c)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pairs == nil {
		p.pairs = make(map[string]*tls.Certificate)
	}
	p.pairs[c.Identifier.Value] = pair
	return nil
}

func (p alpnProof) CleanUp(_ context.Context, c acmeapi.Challenge) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.pairs, c.Identifier.Value)
	return nil
}

// A dnsProof proves the domain, and its wildcard, in the DNS.
type dnsProof struct {
	Records
	log *slog.Logger
}

func (p dnsProof) Present(ctx context.Context, c acmeapi.Challenge) error {
	return p.Records.Present(ctx, c.DNS01TXTRecordName()+".", c.DNS01KeyAuthorization())
}

// cleanTimeout bounds taking a value away, which is done for what was cancelled
// too.
const cleanTimeout = time.Minute

func (p dnsProof) CleanUp(ctx context.Context, c acmeapi.Challenge) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTimeout)
	defer cancel()
	fqdn := c.DNS01TXTRecordName() + "."
	err := p.Remove(ctx, fqdn, c.DNS01KeyAuthorization())
	if err != nil {
		p.log.Warn("a value that was to be published for a while may stay in the DNS", "name", fqdn, "error", reason(err))
	}
	return nil // the library would tell nobody
}
