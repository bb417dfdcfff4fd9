package command

import (
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"share/agent"
	"share/agent/credential"
	"share/tunnel/cmdline"
)

// entry is what flags say of the relays, and of what lets the agent in there.
type entry struct {
	relays             []string
	relayCA, tokenFile string
	insecure           bool
	inside             bool // the relay is the one in this process, whatever share login has kept

	kept map[agent.RelayURL]credential.Login // those of the relays that let the agent in
}

func (e *entry) flags() []cli.Flag {
	return []cli.Flag{
		cmdline.Texts("relay", "use the relay at `ADDR`: share.example.com, https://host:port or http://127.0.0.1:7070; several, if it is given again (default: that of share login, else one in this process)", &e.relays),
		relayCAFlag(&e.relayCA),
		cmdline.Text("token-file", "read the token from `FILE`", &e.tokenFile),
		insecureFlag(&e.insecure),
	}
}

func relayCAFlag(dst *string) cli.Flag {
	return cmdline.Text("relay-ca", "trust what the certificates in `FILE` signed, instead of the system's", dst)
}

func insecureFlag(dst *bool) cli.Flag {
	return cmdline.Toggle("insecure", "let the token travel in plain to a relay that is not on loopback", dst)
}

// enter completes cfg with the relays, and with what lets the agent in: SHARE_TOKEN,
// the file of --token-file, what share login has kept for each relay, or the
// identity of a job. Without --relay, the relay is the one that share login has made
// the default, if there is any.
func (e *entry) enter(p *Process, cfg *agent.Config) (err error) {
	cfg.Insecure, cfg.Proxy, cfg.Version = e.insecure, p.Proxy, p.Version
	if len(e.relays) == 0 && !e.inside {
		if err := e.findDefault(p); err != nil {
			return err
		}
	}
	var relays []agent.RelayURL
	for _, relay := range e.relays {
		u, err := agent.ParseRelay(relay, e.insecure)
		if err != nil {
			return err
		}
		relays = append(relays, u)
	}
	if len(relays) > 0 {
		cfg.Relay, cfg.Others = relays[0], relays[1:]
		if cfg.Token = p.Token(e.tokenFile); cfg.Token == "" && e.tokenFile != "" {
			if cfg.Token, err = agent.LoadToken(e.tokenFile); err != nil {
				return err
			}
		}
	}
	if cfg.Token == "" && len(relays) > 0 {
		if cfg.Logins, err = e.logins(p, relays); err != nil {
			return err
		}
		if err := e.identify(p, cfg, relays); err != nil {
			return err
		}
	}
	if e.relayCA != "" {
		if cfg.RelayCA, err = cmdline.LoadRoots(e.relayCA); err != nil {
			return err
		}
	}
	return nil
}

// unshown says that a token was given and no relay, which leaves a URL for this machine
// where one for the world was meant. It is empty if there is none, or if the relay
// inside was asked for.
func (e *entry) unshown(p *Process) string {
	if e.inside || p.Token("") == "" && e.tokenFile == "" {
		return ""
	}
	return "there is a token, but no relay is named: the URL is for this machine alone; name the relay with --relay, or say --local"
}

// findDefault takes the relay of share login.
func (e *entry) findDefault(p *Process) error {
	store, err := p.credentials()
	if err != nil {
		return err
	}
	logins, err := store.Load()
	if err == nil && logins.Default != "" {
		e.relays = []string{logins.Default}
	}
	return err
}

// logins are the tokens that share login has kept for relays.
func (e *entry) logins(p *Process, relays []agent.RelayURL) (map[agent.RelayURL]string, error) {
	store, err := p.credentials()
	if err != nil {
		return nil, err
	}
	all, err := store.Load()
	if err != nil {
		return nil, err
	}
	tokens := map[agent.RelayURL]string{}
	e.kept = map[agent.RelayURL]credential.Login{}
	for _, relay := range relays {
		login, ok := all.Find(relay.String())
		if !ok {
			continue
		}
		if tokens[relay], err = store.Token(login); err != nil {
			return nil, err
		}
		e.kept[relay] = login
	}
	return tokens, nil
}

// identify has the agent show the identity of a job where a relay wants something and
// there is nothing else.
func (e *entry) identify(p *Process, cfg *agent.Config, relays []agent.RelayURL) error {
	i := slices.IndexFunc(relays, func(u agent.RelayURL) bool { return !u.Loopback() && cfg.Logins[u] == "" })
	if i < 0 {
		return nil
	}
	cfg.Identity = agent.FindIdentity(p.Getenv)
	if cfg.Identity == nil && p.Getenv("GITHUB_ACTIONS") == "true" {
		return cmdline.Usage("put a token into SHARE_TOKEN, or give the job the permission id-token: write and have the relay trust it",
			"relay %s wants a token, and the job has no identity", relays[i])
	}
	return nil
}

// source is where what lets the agent in at relay comes from, as share whoami has it.
func (e *entry) source(p *Process, cfg *agent.Config, relay agent.RelayURL) string {
	login, kept := e.kept[relay]
	switch {
	case cfg.Token != "" && p.Token(e.tokenFile) != "":
		return "SHARE_TOKEN"
	case cfg.Token != "":
		return e.tokenFile
	case kept:
		return login.Place
	case cfg.Identity != nil:
		return fmt.Sprintf("identity of %v", cfg.Identity)
	}
	return "none"
}
