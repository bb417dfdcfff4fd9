package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	services "share/agent/service"
	"share/agent/target"
	"share/tunnel"
	"share/tunnel/cmdline"
)

func serviceCommand(p Process) *cli.Command {
	k := &keeping{process: p}
	install := k.command("install", "have the system run what stands behind --, now and at each login", k.install)
	install.ArgsUsage = "[NAME] -- http TARGET…"
	install.Description = "What stands behind -- is a command line of share, such as http 8080 --name web. It is run in this folder, and not with the\n" +
		"environment of this shell: a token comes from share login, or from --token-file."
	return cmdline.Group("service", "have the system run an agent",
		install,
		k.command("uninstall", "end the service and remove it", k.uninstall),
		k.command("status", "show what the system says of the service", k.status))
}

// keeping is the commands that look after services.
type keeping struct{ process Process }

func (k *keeping) command(name, usage string, do func(ctx context.Context, s *services.Service, behind []string) error) *cli.Command {
	return &cli.Command{Name: name, Usage: usage, ArgsUsage: "[NAME]", Action: func(c *cli.Context) error {
		names, behind, found := cmdline.Behind(c.Args().Slice())
		s := &services.Service{}
		switch {
		case len(names) > 1 || found && name != "install":
			return cmdline.Usage("what the service is to run stands behind --", "%s takes one argument, NAME", name)
		case len(names) == 1 && !tunnel.ValidName(names[0]):
			return cmdline.Usage("use at most 63 of a-z, 0-9 and -, with no - at either end; what the service is to run stands behind --", "%.100q is no name of a service", names[0])
		case len(names) == 1:
			s.Name = names[0]
		}
		ctx, stop := k.process.UntilSignal(func() {})
		defer stop()
		err := do(ctx, s, behind)
		if sig, ok := errors.AsType[cmdline.Interrupt](context.Cause(ctx)); ok && err != nil {
			return cli.Exit("", 128+int(sig.Signal))
		}
		return err
	}}
}

func (k *keeping) install(ctx context.Context, s *services.Service, behind []string) (err error) {
	if err := k.check(behind); err != nil {
		return err
	}
	if k.process.StateDir == "" {
		return cmdline.Usage("set SHARE_STATE_DIR", "a service wants a state folder, and there is none")
	}
	s.Args = behind
	if s.Program, err = os.Executable(); err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if s.Folder, err = os.Getwd(); err != nil {
		return fmt.Errorf("find this folder: %w", err)
	}
	state, err := filepath.Abs(k.process.StateDir)
	if err != nil {
		return fmt.Errorf("find the state folder: %w", err)
	}
	s.Environment = []string{"SHARE_STATE_DIR=" + state, "PATH=" + k.process.Getenv("PATH")}
	if k.process.ConfigDir != "" {
		config, err := filepath.Abs(k.process.ConfigDir)
		if err != nil {
			return fmt.Errorf("find the config folder: %w", err)
		}
		s.Environment = append(s.Environment, "SHARE_CONFIG_DIR="+config)
	}
	path, err := s.Install(ctx, k.place())
	if err != nil {
		return unkept(err)
	}
	_, err = fmt.Fprintf(k.process.Stdout, "installed %s\n", path)
	if err == nil && runtime.GOOS == "linux" {
		_, err = fmt.Fprintln(k.process.Stdout, "it runs while you are logged in; loginctl enable-linger has it run from boot on")
	}
	return err
}

func (k *keeping) uninstall(ctx context.Context, s *services.Service, _ []string) error {
	if err := s.Uninstall(ctx, k.place()); err != nil {
		return unkept(err)
	}
	_, err := fmt.Fprintln(k.process.Stdout, "uninstalled")
	return err
}

func (k *keeping) status(ctx context.Context, s *services.Service, _ []string) error {
	text, err := s.Status(ctx, k.place())
	if _, werr := io.WriteString(k.process.Stdout, text); err == nil {
		return werr
	}
	return unkept(err)
}

func unkept(err error) error {
	hint := ""
	_, refused := errors.AsType[*services.Refusal](err)
	switch {
	case errors.Is(err, services.ErrNone):
		hint = "install it with share service install"
	case errors.Is(err, services.ErrDown):
		hint = "codes of 2, 3, 4, 5 and 8 are faults that no retry mends; install it again once they are mended"
	case refused:
		hint = "a user's services want the user's session: log in as the user, not by su"
	}
	return cmdline.Failed(hint, err)
}

// place is where this system keeps services.
func (k *keeping) place() services.Place {
	get := k.process.Getenv
	return services.Place{GOOS: runtime.GOOS, Home: get("HOME"), Config: get("XDG_CONFIG_HOME"), State: k.process.StateDir,
		UID: os.Getuid(), User: get("USERDOMAIN") + `\` + get("USERNAME")}
}

// check returns why a service cannot run args, as the command itself would say, or
// because it would be another one there.
func (k *keeping) check(args []string) error {
	const hint = "write share service install -- http 8080"
	if len(args) == 0 {
		return cmdline.Usage(hint, "nothing stands behind -- for the service to run")
	}
	checked, behind := httpCommand(k.process), sharesOne
	switch args[0] {
	case "http":
	case "up":
		checked, behind = upCommand(k.process), sharesFile
	default:
		return cmdline.Usage(hint, "a service runs share http or share up, and not %.100q", args[0])
	}
	if slices.ContainsFunc(args, k.hasToken) {
		return cmdline.Usage("keep it with share login, or put it into a file that you alone can read and name that with --token-file", "a token stands behind --, where others can read it")
	}
	reached := false
	checked.Action = func(c *cli.Context) error {
		reached = true
		return behind(c)
	}
	app := &cli.App{Name: "share", Commands: []*cli.Command{checked}, Writer: io.Discard, ErrWriter: io.Discard, ExitErrHandler: func(*cli.Context, error) {}}
	cmdline.Prepare(app.Commands)
	line, err := cmdline.Reorder(app.Commands, append([]string{"share"}, args...))
	if err == nil {
		err = app.Run(line)
	}
	if err == nil && !reached {
		return cmdline.Usage(hint, "what stands behind -- asks for help")
	}
	if err != nil {
		return err
	}
	return k.lost(checked.Flags, line)
}

// sharesOne returns why a service cannot run share http as c has it.
func sharesOne(c *cli.Context) error {
	if err := undetached(c); err != nil {
		return err
	}
	if c.IsSet("ready-fd") {
		return cmdline.Usage("use --url-file", "a service has no descriptors that another has opened")
	}
	targets, _, err := splitCommand(c.Args().Slice())
	if err != nil {
		return err
	}
	if _, err := target.Parse(targets[0]); err != nil {
		return cmdline.Usage("", "%v", err)
	}
	return nil
}

// sharesFile returns why a service cannot run share up as c has it.
func sharesFile(c *cli.Context) error {
	if c.NArg() > 0 {
		return cmdline.Usage("name the file with -f", "up takes no argument")
	}
	return undetached(c)
}

// undetached returns an error if c would leave the process that a service looks after.
func undetached(c *cli.Context) error {
	if c.Bool("detach") || c.Bool("detached") {
		return cmdline.Usage("leave it away", "a service is in the background already, and --detach stands behind --")
	}
	return nil
}

// hasToken reports whether an argument has a token in it: this user's, one as relays
// make them, or what somebody takes for the way to give one.
func (k *keeping) hasToken(arg string) bool {
	own := k.process.Getenv("SHARE_TOKEN")
	return own != "" && strings.Contains(arg, own) || strings.Contains(arg, "shr_") ||
		arg == "--token" || strings.HasPrefix(arg, "--token=") || strings.Contains(arg, "SHARE_TOKEN=")
}

// lost returns an error for what the environment says here, and will not say to the
// service, unless a flag of its command line, which is in order, does.
func (k *keeping) lost(flags []cli.Flag, line []string) error {
	given := func(name string) bool {
		return slices.ContainsFunc(line[:slices.Index(line, "--")], func(arg string) bool { return strings.HasPrefix(arg, "--"+name+"=") })
	}
	unheard := func(variable, flag string) error {
		return cmdline.Usage("write --"+flag+" behind --, or unset "+variable, "%s is set here, and the service will not have it", variable)
	}
	if k.process.Getenv("SHARE_TOKEN") != "" && !given("token-file") {
		return unheard("SHARE_TOKEN", "token-file")
	}
	for _, f := range cmdline.WithoutHeadings(flags) {
		name := f.Names()[0]
		if variable := cmdline.Variable(name); k.process.Getenv(variable) != "" && !given(name) {
			return unheard(variable, name)
		}
	}
	return nil
}
