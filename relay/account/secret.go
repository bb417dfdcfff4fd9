package account

import (
	"crypto/rand"
	"crypto/sha256"
	"hash/crc32"
	"math/big"
	"strings"
)

// SecretPrefix is what the secret of a token begins with, and nothing else does.
const SecretPrefix = "shr_"

// A secret is what an agent shows: SecretPrefix, 256 random bits and their
// checksum, in digits that a double click selects and a URL does not escape. The
// prefix and the checksum let scanners find one that leaked, and tell one that
// was cut from one that was revoked.
const (
	secretDigits = 43 // of 256 bits
	checkDigits  = 6  // of 32 bits
	secretLen    = len(SecretPrefix) + secretDigits + checkDigits

	digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// newSecret returns a secret that there was not before.
func newSecret() string {
	var random [32]byte
	rand.Read(random[:]) // never fails
	s := SecretPrefix + number(new(big.Int).SetBytes(random[:]), secretDigits)
	return s + checksum(s)
}

// wellFormed reports whether secret has the form and the checksum of one.
func wellFormed(secret string) bool {
	if len(secret) != secretLen || !strings.HasPrefix(secret, SecretPrefix) {
		return false
	}
	end := secretLen - checkDigits
	return checksum(secret[:end]) == secret[end:]
}

func checksum(s string) string {
	return number(new(big.Int).SetUint64(uint64(crc32.ChecksumIEEE([]byte(s)))), checkDigits)
}

// number writes n with so many digits, which suffice.
func number(n *big.Int, width int) string {
	b := make([]byte, width)
	base, digit := big.NewInt(int64(len(digits))), new(big.Int)
	for i := width - 1; i >= 0; i-- {
		n.QuoRem(n, base, digit)
		b[i] = digits[digit.Int64()]
	}
	return string(b)
}

// digest is what is kept of a secret. It has as many random bits as a digest
// has bits, so that no salt and no slow hash is needed.
func digest(secret string) [sha256.Size]byte { return sha256.Sum256([]byte(secret)) }
