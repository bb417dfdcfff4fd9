package cmdline

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
)

// Reorder returns args, a whole command line, with the flags of its command
// before the other arguments and a -- between them: cli stops at the first
// argument that is no flag, and would ignore what follows it. What stands
// behind a -- is an argument. A flag that the command does not have, or one
// without its value, is an *Error. Each way to ask for a command's help, or for the
// version, becomes the one that cli has. A command below another stands right
// behind it. One whose ArgsUsage has a -- is given that -- and what stands behind
// it, as its last arguments: Behind parts them.
func Reorder(commands []*cli.Command, args []string) ([]string, error) {
	if len(args) < 2 {
		return args, nil
	}
	switch args[1] {
	case "--version", "-version", "-v":
		return []string{args[0], "version"}, nil
	}
	n, command := 1, find(commands, args[1])
	if command == nil {
		return args, nil
	}
	for n+1 < len(args) {
		sub := find(command.Subcommands, args[n+1])
		if sub == nil {
			break
		}
		n, command = n+1, sub
	}
	n++
	takesValue := map[string]bool{"help": false, "h": false}
	for _, f := range WithoutHeadings(command.Flags) {
		_, isBool := f.(*cli.BoolFlag)
		takesValue[f.Names()[0]] = !isBool
	}
	own, behind := args[n:], []string(nil)
	if i := slices.Index(own, "--"); i >= 0 && strings.Contains(command.ArgsUsage, "--") {
		own, behind = own[:i], own[i:]
	}
	help := "share " + strings.Join(args[1:n], " ") + " --help"
	flags, rest, err := splitFlags(takesValue, own)
	if err != nil {
		return nil, Usage(seeHelp(err.meant, help), "%v", err)
	}
	if len(rest) > 0 && find(command.Subcommands, rest[0]) != nil {
		return nil, Usage("see "+help, "%s stands before all flags", rest[0])
	}
	if slices.Contains(flags, "--help=true") || slices.Contains(flags, "--h=true") {
		return append(args[:n:n], "--help"), nil
	}
	return slices.Concat(args[:n], flags, []string{"--"}, rest, behind), nil
}

// Behind parts the arguments of a command at their first --, which found says
// there is.
func Behind(args []string) (before, behind []string, found bool) {
	i := slices.Index(args, "--")
	if i < 0 {
		return args, nil, false
	}
	return args[:i], args[i+1:], true
}

// find returns the command called name, nil if there is none.
func find(commands []*cli.Command, name string) *cli.Command {
	if i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(name) }); i >= 0 {
		return commands[i]
	}
	return nil
}

// A flagError is what is wrong with a flag.
type flagError struct {
	message string
	meant   string // the flag that may be meant, empty for none
}

func (e *flagError) Error() string { return e.message }

func wrongFlag(format string, args ...any) *flagError {
	return &flagError{message: fmt.Sprintf(format, args...)}
}

// splitFlags splits args into flags, each in one argument, and the rest.
func splitFlags(takesValue map[string]bool, args []string) (flags, rest []string, err *flagError) {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			return flags, append(rest, args...), nil
		}
		if len(arg) < 2 || arg[0] != '-' {
			rest = append(rest, arg)
			continue
		}
		name, value, hasValue := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
		needsValue, known := takesValue[name]
		switch {
		case !known:
			err := wrongFlag("there is no flag %q", strings.SplitN(arg, "=", 2)[0])
			if meant := Nearest(name, slices.Sorted(maps.Keys(takesValue))); meant != "" {
				err.meant = "--" + meant
			}
			return nil, nil, err
		case needsValue && !hasValue:
			if len(args) == 0 || len(args[0]) > 1 && args[0][0] == '-' {
				return nil, nil, wrongFlag("flag --%s wants a value", name)
			}
			value, args = args[0], args[1:]
		case !needsValue && hasValue:
			if _, err := strconv.ParseBool(value); err != nil {
				return nil, nil, wrongFlag("flag --%s is true or false, not %q", name, value)
			}
		case !needsValue:
			value = "true"
		}
		if value == "" { // a script's variable that is not set
			return nil, nil, wrongFlag("flag --%s has an empty value", name)
		}
		flags = append(flags, "--"+name+"="+value)
	}
	return flags, rest, nil
}
