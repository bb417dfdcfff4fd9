package manual

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"share/tunnel/cmdline"
)

// A flag is one of a command's, as users are told of it.
type flag struct {
	names    []string // as they are typed, dashes and all
	value    string   // what stands for its value, empty if it takes none
	usage    string
	category string
	variable string   // that sets it in the environment, empty if none does
	words    []string // the values that there are, nil if there are more than can be told
	again    bool     // it may be given more than once
}

// flags are a command's, without those that are hidden; --help is the last.
func flags(c *cli.Command) (all []flag) {
	category := ""
	for _, f := range append(c.Flags[:len(c.Flags):len(c.Flags)], cli.HelpFlag) {
		if heading, ok := f.(cmdline.Heading); ok {
			category = string(heading)
			continue
		}
		told, ok := f.(cli.DocGenerationFlag)
		shown, visible := f.(cli.VisibleFlag)
		if !ok || !visible || !shown.IsVisible() || f == cli.HelpFlag && c.HideHelp {
			continue
		}
		if f.Names()[0] == cli.HelpFlag.Names()[0] && len(all) > 0 && all[len(all)-1].is("--help") {
			continue // package cli has added it to a command that runs
		}
		one := flag{category: category}
		one.value, one.usage = value(told.GetUsage())
		if !told.TakesValue() {
			one.value = ""
		}
		for _, name := range f.Names() {
			if len(name) > 1 {
				name = "-" + name
			}
			one.names = append(one.names, "-"+name)
		}
		if variables := told.GetEnvVars(); len(variables) > 0 {
			one.variable = variables[0]
		}
		if generic, ok := f.(*cli.GenericFlag); ok {
			if chooser, ok := generic.Value.(cmdline.Chooser); ok {
				one.words = chooser.Words
			}
		}
		if many, ok := f.(cli.DocGenerationSliceFlag); ok {
			one.again = many.IsSliceFlag()
		}
		all = append(all, one)
	}
	return all
}

// value takes the backquotes from a flag's usage, and returns what stands between
// them, VALUE if nothing does.
func value(usage string) (value, text string) {
	before, rest, _ := strings.Cut(usage, "`")
	value, after, ok := strings.Cut(rest, "`")
	if !ok {
		return "VALUE", usage
	}
	return value, before + value + after
}

func (f flag) is(typed string) bool { return slices.Contains(f.names, typed) }

// String is the flag as it is typed, by all its names, with what stands for its
// value.
func (f flag) String() string {
	text := strings.Join(f.names, ", ")
	if f.value != "" {
		text += " " + f.value
	}
	return text
}

// setting says which of a command's flags the environment can set, empty if none.
func setting(all []flag) string {
	var set, not []string
	for _, f := range all {
		if f.variable != "" {
			set = append(set, f.variable+" is "+f.names[0])
		} else if !f.is("--help") {
			not = append(not, f.names[0])
		}
	}
	switch {
	case len(set) == 0:
		return ""
	case len(not) == 0:
		return "The environment can set all of these: " + set[0] + "."
	}
	return "The environment can set all of these but " + strings.Join(not, ", ") + ": " + set[0] + "."
}
