package command

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"share/relay"
	"share/tunnel/cmdline"
)

// maxLoginFile bounds the file of --login-file.
const maxLoginFile = 64 << 10

// people is what the flags say of those who log in.
type people struct {
	file string
}

func (p *people) flag() cli.Flag {
	return cmdline.Text("login-file", "let people log in as `FILE` says, in a line each: the issuer of OpenID Connect that knows them, the client-id that it has for agents, and whom to allow, as in allow email=*@example.com or allow groups=dev; also client-secret, scopes, and when a token expires (default: 30d)", &p.file)
}

// load has the relay let people log in, if they are to.
func (p *people) load(cfg *relay.Config) error {
	if p.file == "" {
		return nil
	}
	f, err := os.Open(p.file)
	if err == nil {
		defer f.Close()
		if cfg.Login, err = parseLogin(f); err == nil {
			err = cfg.Login.Check()
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", p.file, err)
		}
	}
	if err != nil {
		return cmdline.Unusable("--login-file wants lines such as: issuer https://login.example.com, client-id share, allow email=*@example.com", err)
	}
	return nil
}

// parseLogin reads how people log in: a line each, "key value"; empty lines and those
// that begin with # are skipped. The error names the line.
func parseLogin(r io.Reader) (*relay.Login, error) {
	l := new(relay.Login)
	lasts := ""
	texts := map[string]*string{"issuer": &l.Issuer, "client-id": &l.ClientID, "client-secret": &l.Secret, "expires": &lasts}
	all, err := io.ReadAll(io.LimitReader(r, maxLoginFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(all) > maxLoginFile:
		return nil, fmt.Errorf("more than %d bytes", maxLoginFile)
	}
	n := 0
	for line := range strings.Lines(string(all)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key := strings.Fields(line)[0]
		value := strings.TrimSpace(line[len(key):])
		text := texts[key]
		switch {
		case value == "":
			return nil, fmt.Errorf("line %d: want a key and its value", n)
		case key == "allow":
			l.Allow = append(l.Allow, value)
		case key == "scopes":
			l.Scopes = append(l.Scopes, strings.Fields(value)...)
		case text == nil:
			return nil, fmt.Errorf("line %d: there is no key %.40q: want issuer, client-id, client-secret, allow, scopes or expires", n, key)
		case *text != "":
			return nil, fmt.Errorf("line %d: %s stands twice", n, key)
		default:
			*text = value
		}
		if key == "expires" {
			if err := cmdline.Days(&l.Lasts)(value); err != nil {
				return nil, fmt.Errorf("line %d: expires: %w", n, err)
			}
		}
	}
	return l, nil
}
