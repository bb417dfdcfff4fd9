package dns

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/miekg/dns"
)

// maxKeyFile bounds a file of a key.
const maxKeyFile = 16 << 10

// A Key signs what is asked of a DNS server (RFC 8945). Its Secret is base64.
type Key struct{ Name, Algorithm, Secret string }

// ParseKey reads a key as tsig-keygen writes it, and BIND's tools read it:
//
//	key "NAME" {
//		algorithm hmac-sha256;
//		secret "BASE64";
//	};
//
// Its errors never have the secret.
func ParseKey(r io.Reader) (Key, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxKeyFile+1))
	switch {
	case err != nil:
		return Key{}, err
	case len(b) > maxKeyFile:
		return Key{}, fmt.Errorf("a key's file has %d bytes at most", maxKeyFile)
	}
	words, err := split(string(b))
	if err != nil {
		return Key{}, err
	}
	if len(words) < 3 || words[0] != "key" || words[2] != "{" {
		return Key{}, errors.New(`want key "NAME" { algorithm hmac-sha256; secret "BASE64"; };`)
	}
	k := Key{Name: words[1]}
	rest := words[3:]
	for len(rest) >= 3 && rest[0] != "}" && rest[2] == ";" {
		switch rest[0] {
		case "algorithm":
			k.Algorithm = rest[1]
		case "secret":
			k.Secret = rest[1]
		default:
			return Key{}, fmt.Errorf("a key has no %.20q", rest[0])
		}
		rest = rest[3:]
	}
	if strings.Join(rest, "") != "};" {
		return Key{}, errors.New("a key ends with }; and has one algorithm and one secret in it")
	}
	return k, k.check()
}

// check brings the key into the form that is signed with.
func (k *Key) check() error {
	if _, ok := dns.IsDomainName(k.Name); !ok || k.Name == "" {
		return fmt.Errorf("key %.100q: that is no name", k.Name)
	}
	k.Name = dns.CanonicalName(k.Name)
	algorithm := dns.CanonicalName(k.Algorithm)
	switch algorithm {
	case dns.HmacSHA1, dns.HmacSHA224, dns.HmacSHA256, dns.HmacSHA384, dns.HmacSHA512:
	default:
		return fmt.Errorf("key %.100q: algorithm %.40q: want hmac-sha256, or sha1, sha224, sha384 or sha512", k.Name, k.Algorithm)
	}
	k.Algorithm = algorithm
	if secret, err := base64.StdEncoding.DecodeString(k.Secret); err != nil || len(secret) == 0 {
		return fmt.Errorf("key %.100q: its secret is not base64", k.Name)
	}
	return nil
}

// split parts a file of BIND's syntax into words, braces and semicolons,
// without comments.
func split(text string) (words []string, err error) {
	for text != "" {
		switch c := text[0]; {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			text = text[1:]
		case c == '#' || strings.HasPrefix(text, "//"):
			_, text, _ = strings.Cut(text, "\n")
		case strings.HasPrefix(text, "/*"):
			var ended bool
			if _, text, ended = strings.Cut(text[2:], "*/"); !ended {
				return nil, errors.New("a comment does not end")
			}
		case c == '{' || c == '}' || c == ';':
			words, text = append(words, text[:1]), text[1:]
		case c == '"':
			word, rest, ended := strings.Cut(text[1:], `"`)
			if !ended {
				return nil, errors.New("a quote does not end")
			}
			words, text = append(words, word), rest
		default:
			n := strings.IndexAny(text, " \t\r\n{};\"#")
			if n < 0 {
				n = len(text)
			}
			words, text = append(words, text[:n]), text[n:]
		}
	}
	return words, nil
}
