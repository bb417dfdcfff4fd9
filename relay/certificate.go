package relay

import (
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// certificateCheck is how often a certificate's files are looked at.
	certificateCheck = time.Second

	// maxPEM bounds each of them: a chain has some thousand bytes.
	maxPEM = 1 << 20
)

// Certificates are what a door shows.
type Certificates interface {
	// Certificate returns what to show in answer to hello, or why there is
	// nothing. An error beside a certificate says, once for each time that it
	// began, why that is not the newest.
	Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error)

	// Covers reports whether those who ask for host are shown a certificate
	// for it, as far as that is known.
	Covers(host string) bool

	// Expiry is when the first of those that are shown now ends, zero if there
	// is none.
	Expiry() time.Time
}

// A Certificate is a key pair that follows its files.
type Certificate struct {
	certFile, keyFile string

	mu      sync.Mutex
	pair    *tls.Certificate // guarded by mu
	stamp   [2]time.Time     // guarded by mu; when the files were changed
	checked time.Time        // guarded by mu
	failed  error            // guarded by mu; why the newest files are not used
	told    bool             // guarded by mu; problem has returned failed
}

// LoadCertificate reads a PEM chain and its key. It fails if they do not match.
func LoadCertificate(certFile, keyFile string) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile}
	stamp, err := c.stat()
	if err != nil {
		return nil, err
	}
	pair, err := c.read()
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", certFile, keyFile, err)
	}
	c.pair, c.stamp, c.checked = pair, stamp, time.Now()
	return c, nil
}

// read reads the pair of the files as they are now.
func (c *Certificate) read() (*tls.Certificate, error) {
	var texts [2][]byte
	for i, name := range []string{c.certFile, c.keyFile} {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		texts[i], err = io.ReadAll(io.LimitReader(f, maxPEM+1))
		f.Close()
		switch {
		case err != nil:
			return nil, err
		case len(texts[i]) > maxPEM:
			return nil, fmt.Errorf("%s has more than %d bytes", name, maxPEM)
		}
	}
	pair, err := tls.X509KeyPair(texts[0], texts[1])
	return &pair, err
}

// Reload takes the pair of the files as they are now, or returns why they are not
// used.
func (c *Certificate) Reload() error {
	c.mu.Lock()
	c.checked, c.stamp = time.Time{}, [2]time.Time{}
	c.mu.Unlock()
	c.current()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

func (c *Certificate) stat() (stamp [2]time.Time, err error) {
	for i, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return stamp, err
		}
		stamp[i] = info.ModTime()
	}
	return stamp, nil
}

// current returns the pair of the files as they are now. Files that do not
// load, as while they are being replaced, leave the old pair in use.
func (c *Certificate) current() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Sub(c.checked) < certificateCheck {
		return c.pair
	}
	c.checked = now
	stamp, err := c.stat()
	if err == nil && stamp == c.stamp {
		c.failed = nil
		return c.pair
	}
	var pair *tls.Certificate
	if err == nil {
		pair, err = c.read()
	}
	if err != nil {
		if c.failed == nil {
			c.failed, c.told = err, false
		}
		return c.pair
	}
	c.pair, c.stamp, c.failed = pair, stamp, nil
	return c.pair
}

// Certificate returns the pair, whatever hello asks for.
func (c *Certificate) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.current(), c.problem()
}

// problem returns, once for each time that it began, why the newest files are
// not used; nil if they are.
func (c *Certificate) problem() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil || c.told {
		return nil
	}
	c.told = true
	return fmt.Errorf("certificate %s with key %s: %w", c.certFile, c.keyFile, c.failed)
}

// Expiry is when the certificate ends.
func (c *Certificate) Expiry() time.Time {
	leaf := c.current().Leaf
	if leaf == nil {
		return time.Time{}
	}
	return leaf.NotAfter
}

// Covers reports whether the certificate is for host.
func (c *Certificate) Covers(host string) bool {
	pair := c.current()
	return pair.Leaf != nil && pair.Leaf.VerifyHostname(host) == nil
}
