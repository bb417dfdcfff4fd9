package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"share/agent"
	"share/agent/credential"
	"share/agent/terminal"
	"share/tunnel/cmdline"
)

// maxPasted bounds what is read for a token: the token, and the label that may stand
// before it.
const maxPasted = 8 << 10

// loggingIn is what the flags of share login say.
type loggingIn struct {
	process   Process
	relayCA   string
	insecure  bool
	noDefault bool
	paste     bool
}

func loginCommand(p Process) *cli.Command {
	l := &loggingIn{process: p}
	noDefault := cmdline.Toggle("no-default", "leave the relay of share http without --relay as it is", &l.noDefault)
	paste := cmdline.Toggle("paste", "ask for a token, although the relay has people log in", &l.paste)
	cmdline.Unset([]cli.Flag{noDefault, paste}) // the environment is for what lasts
	return &cli.Command{
		Name:      "login",
		Usage:     "get or keep the token for a relay",
		ArgsUsage: "RELAY",
		Description: "Where the relay has people log in, it shows a code to type in a browser, here or on a phone, and gets a token for that.\n" +
			"Else it asks for the token, which is not shown; or reads it from stdin, if that is no terminal and has one.\n" +
			"Once the relay takes it, it is kept in the system's keyring or, without one that answers in a second or with\n" +
			"SHARE_KEYRING=off, in a file that only you can read. It is shown to this relay alone.",
		Flags: []cli.Flag{noDefault, paste, relayCAFlag(&l.relayCA), insecureFlag(&l.insecure)},
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return cmdline.Usage("write share login share.example.com", "login takes one argument, RELAY; the token is asked for")
			}
			return p.interruptible(func(ctx context.Context) error { return l.login(ctx, c.Args().First()) })
		},
	}
}

// login gets the token, and keeps it.
func (l *loggingIn) login(ctx context.Context, arg string) error {
	p := &l.process
	relay, err := agent.ParseRelay(arg, l.insecure)
	if err != nil {
		return err
	}
	cfg := agent.Config{Relay: relay, Insecure: l.insecure, Proxy: p.Proxy, Version: p.Version}
	if l.relayCA != "" {
		if cfg.RelayCA, err = cmdline.LoadRoots(l.relayCA); err != nil {
			return err
		}
	}
	store, err := p.credentials()
	if err != nil {
		return err
	}
	before, err := store.Load() // what hinders is said before the token is asked for
	damaged := errors.Is(err, credential.ErrDamaged)
	switch {
	case damaged:
		before = &credential.Logins{}
	case err != nil:
		return err
	}
	grant, err := l.obtain(ctx, cfg)
	if err != nil {
		return err
	}
	kept, err := store.Keep(ctx, relay.String(), grant.Account, grant.Token, !l.noDefault)
	if err != nil {
		return err
	}
	if damaged {
		p.note("the file of logins was damaged, and has been written anew")
	}
	return l.report(kept, grant.Expires, before.Default)
}

// obtain has the user log in, where the relay offers that, or give a token.
func (l *loggingIn) obtain(ctx context.Context, cfg agent.Config) (agent.Grant, error) {
	p := &l.process
	offer, warning, err := agent.LoginOffer(ctx, cfg)
	if err != nil {
		return agent.Grant{}, err
	}
	offered := offer != nil && !l.paste
	text := ""
	if !offered || !term.IsTerminal(int(p.Stdin.Fd())) {
		if offered {
			p.note("stdin is no terminal, and may have a token: it is read to its end")
		}
		if text, err = p.readSecret(ctx, fmt.Sprintf("Paste the token for %s; it is not shown: ", cfg.Relay)); err != nil {
			return agent.Grant{}, err
		}
	}
	if offered && strings.TrimSpace(text) == "" {
		p.note(warning)
		return p.logIn(ctx, cfg, offer)
	}
	token, ok := agent.ParseToken(text)
	if !ok {
		return agent.Grant{}, cmdline.Usage("paste it whole, or write share login "+cfg.Relay.String()+" <FILE", "want one line with a token")
	}
	cfg.Token = token
	sight, err := agent.Look(ctx, cfg)
	if err != nil {
		return agent.Grant{}, refusedToken(err)
	}
	p.note(sight.Warning)
	if sight.Account == "" {
		return agent.Grant{}, cmdline.Failed("share http 8080 --relay "+cfg.Relay.String(), fmt.Errorf("relay %s lets in whoever can reach it: there is nothing to keep", cfg.Relay))
	}
	return agent.Grant{Account: sight.Account, Token: token, Expires: sight.Expires}, nil
}

// refusedToken has the hint fit a token that was pasted.
func refusedToken(err error) error {
	if e, ok := errors.AsType[*cmdline.Error](err); ok && e.Code == cmdline.ExitToken {
		e.Hint = "paste it whole; the relay's owner has the tokens"
	}
	return err
}

// report says what is so now.
func (l *loggingIn) report(kept credential.Login, expires time.Time, before string) error {
	text := fmt.Sprintf("logged in to %s as %s; the token is in %s\n", kept.Relay, terminal.Escape(kept.Account), place(kept.Place))
	if !expires.IsZero() {
		text += "it ends on " + day(expires) + "\n"
	}
	if !l.noDefault && before != kept.Relay {
		text += fmt.Sprintf("%s is the relay of share http from now on", kept.Relay)
		if before != "" {
			text += ", in place of " + before
		}
		text += "\n"
	}
	if _, err := io.WriteString(l.process.Stdout, text); err != nil {
		return err
	}
	if l.process.Getenv("SHARE_TOKEN") != "" {
		l.process.note("SHARE_TOKEN is set, and goes before the token that was kept")
	}
	return nil
}

// day is a time as people read it.
func day(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

// place names where a token is to people.
func place(place string) string {
	if place == "keyring" {
		return "the keyring"
	}
	return terminal.Escape(place)
}

// note says what the user should know on stderr, if it is not empty.
func (p *Process) note(text string) {
	if text != "" {
		fmt.Fprintf(p.Stderr, "share: %s\n", terminal.Escape(text))
	}
}

// readSecret reads a line that is typed, which the terminal does not show, or all of
// stdin if that is no terminal.
func (p *Process) readSecret(ctx context.Context, prompt string) (string, error) {
	type answer struct {
		text []byte
		err  error
	}
	c := make(chan answer, 1)
	fd := int(p.Stdin.Fd())
	state, err := term.GetState(fd)
	if err != nil { // no terminal
		go func() { // ends with stdin, or the process: nothing can interrupt it
			text, err := io.ReadAll(io.LimitReader(p.Stdin, maxPasted+1))
			c <- answer{text, err}
		}()
	} else {
		fmt.Fprint(p.Stderr, prompt)
		defer fmt.Fprintln(p.Stderr)
		go func() { // likewise
			text, err := term.ReadPassword(fd)
			c <- answer{text, err}
		}()
	}
	select {
	case a := <-c:
		if a.err != nil && !errors.Is(a.err, io.EOF) {
			return "", fmt.Errorf("read the token: %w", a.err)
		}
		if len(a.text) > maxPasted {
			return "", cmdline.Usage("", "what is to be a token has more than %d bytes", maxPasted)
		}
		return string(a.text), nil
	case <-ctx.Done():
		if state != nil {
			_ = term.Restore(fd, state) // it may be gone
		}
		return "", ctx.Err()
	}
}
