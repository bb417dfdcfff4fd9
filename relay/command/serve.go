package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/urfave/cli/v2"

	"share/relay"
	"share/relay/access"
	"share/tunnel/cmdline"
)

// A serving is what the flags of share relay say.
type serving struct {
	process Process

	relay     relay.Config
	addresses relay.Addresses
	level     slog.Level
	json      bool

	cert, key, tokenFile, data string

	remote                relay.RemoteAddress
	remoteCert, remoteKey string
	accessLog             string
	accessFormat          access.Format
	obtaining             obtaining
	people                people
	replace               bool
	before                *relay.Predecessor // whose place is taken, nil if nobody's

	successor atomic.Int64 // the process that has taken this one's place, 0 if none has
}

// Relay returns share relay, with the commands below it.
func Relay(p Process) *cli.Command {
	r := &serving{process: p}
	return r.withDoctor(&cli.Command{
		Name:     "relay",
		Usage:    "run a relay",
		Category: "run a relay",
		UsageText: "share relay\ton this machine alone, to try it\n" +
			"share relay --domain share.example.com --email ops@example.com --dns :53",
		Description: "Without an address, the relay listens on http://127.0.0.1:7070. Beyond loopback it wants certificates for\n" +
			"what agents connect to, and tokens: it keeps them in --data, and makes the first one itself.",
		Action:      r.run,
		Subcommands: operating(p),
		Flags: slices.Concat(
			cmdline.Under("addresses",
				cmdline.Text("http", "take visitors, and agents, in plain HTTP at `ADDR`", &r.addresses.HTTP),
				cmdline.Text("https", "take visitors and agents over TLS at `ADDR`", &r.addresses.HTTPS),
				cmdline.Text("redirect", "send visitors who come in plain HTTP to `ADDR` to the https URL; agents are not let in", &r.addresses.Redirect),
				cmdline.Text("agents", "take agents alone at `ADDR`", &r.addresses.Agents),
				cmdline.Text("domain", "give tunnels the names below `DOMAIN` (default: localhost)", &r.relay.Domain),
				cmdline.Value("public-url", "visitors come to `URL`, through a front", cmdline.URL(&r.relay.PublicURL)),
			),
			cmdline.Under("TLS",
				cmdline.Text("tls-cert", "show the certificates in `FILE`, PEM; it is read again when it changes", &r.cert),
				cmdline.Text("tls-key", "the certificate's key is in `FILE`, PEM", &r.key),
				cmdline.Text("email", "obtain certificates from a CA, Let's Encrypt if no other is named, which writes to `ADDRESS`; without an address, listen on :443, and on :80 to redirect", &r.obtaining.email),
				cmdline.Text("acme-url", "obtain them from the CA whose ACME directory is `URL`", &r.obtaining.url),
				cmdline.Text("acme-ca", "trust what the certificates in `FILE` signed at that URL, instead of the system's", &r.obtaining.ca),
			),
			cmdline.Under("DNS",
				cmdline.Text("dns", "prove the domain to the CA by answering for _acme-challenge.DOMAIN in the DNS at `ADDR`, such as :53", &r.obtaining.dns),
				cmdline.Value("dns-address", "answer there for the whole domain: all its names have the addresses `IP,...`", cmdline.Addresses(&r.obtaining.addresses)),
				cmdline.Text("dns-update", "prove the domain by updating its zone at the DNS server `HOST` (RFC 2136)", &r.obtaining.update),
				cmdline.Text("dns-key-file", "the key for that is in `FILE`, as tsig-keygen writes it", &r.obtaining.keyFile),
				cmdline.Text("dns-hook", "prove the domain by running `PROGRAM` present|cleanup FQDN VALUE, which changes the TXT record", &r.obtaining.hook),
				cmdline.Text("dns-resolver", "ask the DNS server at `ADDR` whose the domains of share relay domain are (default: the system's)", &r.obtaining.resolver),
			),
			cmdline.Under("agents",
				cmdline.Text("data", "keep tokens and names in the folder `DIR` (default: in the user's state folder, with --admin or --login-file and where others than this machine reach the relay)", &r.data),
				cmdline.Text("token-file", "let agents in that have a token of `FILE`: a label and a token in each line", &r.tokenFile),
				r.people.flag(),
				cmdline.Toggle("insecure", "let tokens travel in plain beyond loopback", &r.relay.Insecure),
			),
			cmdline.Under("operators",
				cmdline.Text("admin", "take operators who have a token, and serve metrics, health and profiles, at `ADDR`", &r.remote.Addr),
				cmdline.Text("admin-cert", "show operators the certificates in `FILE`, PEM (default: beyond loopback, those of --tls-cert)", &r.remoteCert),
				cmdline.Text("admin-key", "that certificate's key is in `FILE`, PEM", &r.remoteKey),
			),
			cmdline.Under("fronts",
				cmdline.Value("trusted-proxies", "believe the forwarding fields of peers in `CIDR,...`", cmdline.Prefixes(&r.relay.TrustedProxies)),
				cmdline.Value("proxy-protocol", "take the visitor's address from the PROXY protocol header, v1 or v2, that peers in `CIDR,...` must send first, at all addresses but that of --agents", cmdline.Prefixes(&r.addresses.Fronts)),
			),
			cmdline.Under("running",
				cmdline.Value("memory", "use `SIZE` of memory at most, such as 512MiB: beyond it what is new is answered with 503 (default: as much as there is)", cmdline.Size(&r.relay.Memory, relay.LeastMemory)),
				cmdline.Value("connections-per-address", "take `N` connections from one address, not counting agents and trusted proxies (default: 2000)", cmdline.Number(&r.relay.ConnectionsPerAddress, 1, 1_000_000)),
			),
			cmdline.Under("running",
				cmdline.Value("grace", "let requests in flight end within `TIME` when stopped (default: 30s)", cmdline.Duration(&r.relay.Grace, -1)),
				cmdline.Toggle("replace", "take the place of the relay that runs with the same --data, and turn nobody away; it starts as usual if none does", &r.replace),
			),
			cmdline.Under("logs",
				cmdline.Text("access-log", "write a line for each request to `FILE`, - for standard output; a file that is moved away is made anew", &r.accessLog),
				cmdline.Value("access-format", "write it as `FORMAT`: json or combined (default: json)", cmdline.Choice(&r.accessFormat, map[string]access.Format{"json": access.JSON, "combined": access.Combined})),
				cmdline.Toggle("server-timing", "tell visitors, in a Server-Timing field, how long relay, link and target took", &r.relay.ServerTiming),
				cmdline.Value("log-format", "log as `FORMAT`: text or json (default: text)", cmdline.Choice(&r.json, map[string]bool{"text": false, "json": true})),
				cmdline.Value("log-level", "log from `LEVEL` on: debug, info, warn or error (default: info)", cmdline.Level(&r.level)),
			),
		),
	})
}

// run serves a relay until a signal.
func (r *serving) run(c *cli.Context) (err error) {
	if c.NArg() > 0 {
		return cmdline.Usage("addresses are flags, as in --http 127.0.0.1:7070", "relay takes no argument, and not %q", c.Args().First())
	}
	r.addresses.Sockets = new(relay.Sockets)
	r.relay.Sockets = r.addresses.Sockets
	defer r.addresses.Sockets.CloseRest()
	if err := r.activate(); err != nil {
		return err
	}
	if err := r.load(); err != nil {
		return err
	}
	if err := r.precede(c.Context); err != nil {
		return err
	}
	if r.before != nil {
		defer func() { r.before.Leave(err) }()
	}
	if err := r.check(); err != nil {
		return err
	}
	data, doors, err := r.open(c.Context)
	if err != nil {
		return err
	}
	if data != nil {
		defer data.Close()
	}
	if err := r.obtaining.open(&r.relay, r.data); err != nil {
		r.close(doors)
		return err
	}
	stopAccess, err := r.openAccess()
	if err != nil {
		r.close(doors)
		return err
	}
	defer stopAccess()
	r.relay.Serving = func() { r.notify(daemon.SdNotifyReady) }
	r.relay.Replaced = r.replacedBy
	rel, err := relay.New(r.relay)
	if err != nil {
		r.close(doors)
		return cmdline.Usage("", "%v", err)
	}
	ctx, stop := r.process.UntilSignal(rel.Cut)
	defer stop()
	if data != nil && r.relay.Tokens.Empty() {
		err = data.Accounts.First(ctx, func(secret string) error { return welcome(c.App.Writer, secret, rel.AgentAddress(doors)) })
	}
	if err != nil {
		r.close(doors)
		return fmt.Errorf("first token: %w", err)
	}
	defer r.followSignals(rel)()
	var watching sync.WaitGroup
	ended := make(chan struct{})
	watching.Go(func() { cmdline.Watch(ctx, ended, rel.Alive, r.notify) })
	err = rel.Serve(ctx, doors...)
	close(ended)
	watching.Wait()
	return err
}

// open opens the data folder, if there is to be one, and the doors. Where another
// relay makes room, it does so in the end.
func (r *serving) open(ctx context.Context) (data *relay.Data, doors []relay.Door, err error) {
	if r.before == nil {
		if data, err = r.openData(); err != nil {
			return nil, nil, err
		}
	}
	doors, err = r.addresses.Listen()
	if err == nil {
		if r.relay.Remote, err = r.remote.Listen(&r.addresses, r.relay.Logger); err == nil {
			err = r.obtaining.listen(r.addresses.Sockets, r.relay.DNS)
		}
		if err != nil {
			r.close(doors)
		}
	}
	if err != nil {
		if data != nil {
			data.Close()
		}
		return nil, nil, cmdline.Failed("stop what listens there, or choose another address", err)
	}
	if r.before != nil {
		if data, err = r.before.OpenData(ctx, r.data, r.addresses.Sockets); err != nil {
			r.close(doors)
			return nil, nil, cmdline.Failed(goesOn, err)
		}
	}
	if data != nil {
		r.relay.Accounts, r.relay.Admin, r.relay.Socket, r.relay.Store = data.Accounts, data.Admin, data.Socket, data.Store
	}
	return data, doors, nil
}

// close closes what open has opened of addresses.
func (r *serving) close(doors []relay.Door) {
	for _, d := range doors {
		d.Close()
	}
	if r.relay.DNS != nil {
		r.relay.DNS.Close()
	}
}

// keeps reports whether the relay has a data folder although none is named.
func (r *serving) keeps() bool {
	return r.addresses.Beyond() || r.remote.Addr != "" || r.relay.ACME != nil || r.relay.Login != nil
}

// openData opens the relay's data folder, if it has one.
func (r *serving) openData() (*relay.Data, error) {
	if r.data == "" {
		if !r.keeps() {
			return nil, nil
		}
		if r.data = r.process.dataDir(); r.data == "" {
			if !r.relay.Tokens.Empty() && r.remote.Addr == "" && r.relay.ACME == nil && r.relay.Login == nil {
				return nil, nil
			}
			return nil, cmdline.Usage("name a folder with --data", "there is no state folder for tokens and certificates")
		}
	}
	data, err := r.addresses.Sockets.OpenData(r.data)
	if errors.Is(err, relay.ErrInUse) {
		return nil, cmdline.Failed("stop that relay, add --replace to take its place, or name another folder with --data", err)
	}
	if err != nil {
		return nil, cmdline.Unusable("--data wants a folder of the relay's own", err)
	}
	return data, nil
}

// openAccess opens the access log, if there is to be one. The caller calls
// stop.
func (r *serving) openAccess() (stop func(), err error) {
	switch r.accessLog {
	case "":
		return func() {}, nil
	case "-":
		r.relay.Access = access.New(r.process.Stdout, r.accessFormat, r.relay.Logger)
	default:
		if r.relay.Access, err = access.Open(r.accessLog, r.accessFormat, r.relay.Logger); err != nil {
			return nil, cmdline.Unusable("--access-log wants a file in a folder that can be written to", err)
		}
	}
	return func() {
		if err := r.relay.Access.Close(); err != nil {
			r.relay.Logger.Error("the access log is cut", "error", err.Error())
		}
	}, nil
}

// welcome tells the operator of a new relay how to let the first agent in.
func welcome(w io.Writer, secret, address string) error {
	note := ""
	switch {
	case address == "":
		address, note = "RELAY", " (RELAY is how this relay is reached from there)"
	case strings.HasPrefix(address, "http:"):
		address += " --insecure"
	}
	_, err := fmt.Fprintf(w, "This relay is new. Its first token, which is shown this once:\n\n    %s\n\n"+
		"Where a program is to be shared%s:\n\n    SHARE_TOKEN=%s share http 8080 --relay %s\n\n", secret, note, secret, address)
	return err
}

// tokens reads the token file.
func (r *serving) tokens() (relay.Tokens, error) {
	f, err := os.Open(r.tokenFile)
	if err != nil {
		return relay.Tokens{}, err
	}
	defer f.Close()
	tokens, err := relay.ParseTokens(f)
	if err != nil {
		err = fmt.Errorf("%s: %w", r.tokenFile, err)
	}
	return tokens, err
}

// check returns what makes no sense, before anything is opened.
func (r *serving) check() error {
	if r.accessLog == "" && r.accessFormat != access.JSON {
		return cmdline.Usage("add --access-log", "--access-format is for an access log")
	}
	if err := r.relay.Check(); err != nil {
		return cmdline.Usage("", "%v", err)
	}
	if err := r.addresses.Check(&r.relay); err != nil {
		return cmdline.Usage("", "%v", err)
	}
	if err := r.remote.Check(&r.addresses); err != nil {
		return cmdline.Usage("", "%v", err)
	}
	return nil
}

// load reads what the flags name.
func (r *serving) load() (err error) {
	cfg := &r.relay
	if token := r.process.Token(r.tokenFile); token != "" {
		if err := cfg.Tokens.Add("default", token); err != nil {
			return cmdline.Usage("", "SHARE_TOKEN: %v", err)
		}
	} else if r.tokenFile != "" {
		if cfg.Tokens, err = r.tokens(); err != nil {
			return cmdline.Unusable("--token-file wants a file with a label and a token in each line", err)
		}
	}
	if (r.cert == "") != (r.key == "") {
		return cmdline.Usage("add the other", "--tls-cert and --tls-key go together")
	}
	if r.cert != "" {
		if r.addresses.Certificate, err = relay.LoadCertificate(r.cert, r.key); err != nil {
			return cmdline.Unusable("--tls-cert and --tls-key want a certificate and its key in PEM", err)
		}
	}
	if (r.remoteCert == "") != (r.remoteKey == "") {
		return cmdline.Usage("add the other", "--admin-cert and --admin-key go together")
	}
	if r.remoteCert != "" {
		if r.remote.Certificate, err = relay.LoadCertificate(r.remoteCert, r.remoteKey); err != nil {
			return cmdline.Unusable("--admin-cert and --admin-key want a certificate and its key in PEM", err)
		}
	}
	if err := r.people.load(cfg); err != nil {
		return err
	}
	cfg.Version = r.process.Version
	options := &slog.HandlerOptions{Level: r.level}
	cfg.Logger = slog.New(slog.NewTextHandler(r.process.Log, options))
	if r.json {
		cfg.Logger = slog.New(slog.NewJSONHandler(r.process.Log, options))
	}
	return r.obtaining.load(&r.process, cfg, &r.addresses)
}
