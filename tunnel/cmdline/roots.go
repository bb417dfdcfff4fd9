package cmdline

import (
	"crypto/x509"
	"fmt"
	"io"
	"os"
)

// maxRoots bounds the file of certificates that others are trusted by: the largest
// list of a system's has a quarter of that.
const maxRoots = 1 << 20

// LoadRoots reads certificates in PEM that others are trusted by. The error is
// an *Error.
func LoadRoots(file string) (*x509.CertPool, error) {
	const hint = "name a file with certificates in PEM"
	f, err := os.Open(file)
	if err != nil {
		return nil, Unusable(hint, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxRoots+1))
	switch {
	case err != nil:
		return nil, Unusable(hint, err)
	case len(b) > maxRoots:
		return nil, Unusable(hint, fmt.Errorf("%s has more than %d bytes", file, maxRoots))
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, Unusable(hint, fmt.Errorf("%s has no certificate", file))
	}
	return pool, nil
}
