package cmdline

import (
	"crypto/x509"
	"fmt"
	"os"
)

// LoadRoots reads certificates in PEM that others are trusted by. The error is
// an *Error.
func LoadRoots(file string) (*x509.CertPool, error) {
	const hint = "name a file with certificates in PEM"
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, Unusable(hint, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, Unusable(hint, fmt.Errorf("%s has no certificate", file))
	}
	return pool, nil
}
