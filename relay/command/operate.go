package command

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"

	"github.com/urfave/cli/v2"

	"share/relay"
	"share/relay/admin"
	"share/tunnel/cmdline"
)

// An operator is what the flags say of every command that looks after a relay.
// Each is given to the relay that runs with the same data folder, over its
// socket, or to one elsewhere.
type operator struct {
	process Process
	data    string
	json    bool

	admin   *url.URL // of a relay elsewhere, nil if it is here
	adminCA string
}

// operating are the commands below share relay.
func operating(p Process) []*cli.Command {
	o := &operator{process: p}
	return []*cli.Command{o.tokens(), o.trusts(), o.names(), o.tunnels(), o.domains(), o.backup(), o.restore()}
}

// group is a command with others below it, which all have the flags of an
// operator.
func (o *operator) group(name, usage string, commands ...*cli.Command) *cli.Command {
	for _, c := range commands {
		c.Flags = append(c.Flags, cmdline.Toggle("json", "write what the relay answers as JSON", &o.json))
		cmdline.Unset(c.Flags) // the environment is for what lasts
		c.Flags = append(c.Flags, o.relayFlags()...)
	}
	return cmdline.Group(name, usage, commands...)
}

func (o *operator) dataFlag() cli.Flag {
	return cmdline.Text("data", "the relay's data folder is `DIR` (default: that of a relay that names none)", &o.data)
}

// relayFlags say which relay a command is for.
func (o *operator) relayFlags() []cli.Flag {
	flags := []cli.Flag{
		cmdline.Value("admin", "the relay is elsewhere, and takes operators at `URL`, its --admin; SHARE_ADMIN_TOKEN lets in", cmdline.URL(&o.admin)),
		cmdline.Text("admin-ca", "trust what the certificates in `FILE` signed, instead of the system's", &o.adminCA),
	}
	cmdline.Unset(flags) // a relay's own --admin is an address
	return append(flags, o.dataFlag())
}

// argument is the command's only one, which is called want; empty if that is,
// for a command that takes none.
func argument(c *cli.Context, want string) (string, error) {
	switch {
	case want == "" && c.NArg() > 0:
		return "", cmdline.Usage("", "%s takes no argument, and not %q", c.Command.Name, c.Args().First())
	case want != "" && c.NArg() != 1:
		return "", cmdline.Usage("", "%s takes one argument, %s", c.Command.Name, want)
	}
	arg := c.Args().First()
	// In the path of a call these would be none, or those of a folder.
	if want != "" && (arg == "" || want != "FILE" && (arg == "." || arg == "..")) {
		return "", cmdline.Usage("", "%q is no %s", arg, want)
	}
	return arg, nil
}

// folder finds the relay's data folder.
func (o *operator) folder() error {
	if o.data == "" {
		if o.data = o.process.dataDir(); o.data == "" {
			return cmdline.Usage("name the relay's folder with --data", "there is no state folder")
		}
	}
	return nil
}

// action is a command that do carries out. want is what its only argument is
// called, empty if it takes none.
func (o *operator) action(want string, do func(ctx context.Context, k *admin.Console, arg string) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		arg, err := argument(c, want)
		if err != nil {
			return err
		}
		client, err := o.client()
		if err != nil {
			return err
		}
		k := &admin.Console{Client: client, Out: c.App.Writer, Notes: c.App.ErrWriter, JSON: o.json}
		err = do(c.Context, k, arg)
		if refused, ok := errors.AsType[*admin.RefusedError](err); ok {
			switch {
			case refused.Invalid():
				return cmdline.Usage("", "%v", err)
			case refused.Unknown():
				return &cmdline.Error{Code: cmdline.ExitToken, Message: "relay refused: " + err.Error(),
					Hint: "set SHARE_ADMIN_TOKEN to a token that share relay token create --role admin has made", Err: err}
			case refused.Broken():
				return err
			}
			return &cmdline.Error{Code: cmdline.ExitRefused, Message: "relay refused: " + err.Error(), Err: err}
		}
		if errors.Is(err, fs.ErrPermission) {
			return cmdline.Failed("run this as the relay's user", err)
		}
		if errors.Is(err, admin.ErrNoRelay) {
			return &cmdline.Error{Code: cmdline.ExitUnreached, Message: "no relay runs with the data folder " + o.data,
				Hint: "start share relay with it, or name another with --data", Err: err}
		}
		if errors.Is(err, admin.ErrUnreached) {
			return &cmdline.Error{Code: cmdline.ExitUnreached, Message: fmt.Sprintf("%s: %v", o.admin, err), Err: err}
		}
		return err
	}
}

// client is that of the relay that the flags name.
func (o *operator) client() (*admin.Client, error) {
	switch {
	case o.admin != nil:
		return o.remote()
	case o.adminCA != "":
		return nil, cmdline.Usage("add --admin", "--admin-ca is for a relay elsewhere")
	}
	if err := o.folder(); err != nil {
		return nil, err
	}
	return admin.NewClient(relay.SocketPath(o.data)), nil
}

// remote is the client of a relay elsewhere.
func (o *operator) remote() (*admin.Client, error) {
	u := o.admin
	switch {
	case u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "":
		return nil, cmdline.Usage("write --admin https://host:port", "--admin wants a URL of https, or of http on loopback")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, cmdline.Usage("use https://"+u.Host, "--admin %s: http would send the token unencrypted", u)
	case o.process.AdminToken == "":
		return nil, cmdline.Usage("set SHARE_ADMIN_TOKEN", "there is no token for the relay at %s", u)
	}
	var roots *x509.CertPool
	if o.adminCA != "" {
		var err error
		if roots, err = cmdline.LoadRoots(o.adminCA); err != nil {
			return nil, err
		}
	}
	return admin.NewRemoteClient(u, o.process.AdminToken, roots, o.process.Proxy), nil
}

// loopback reports whether host is this machine, and nobody listens in.
func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}
