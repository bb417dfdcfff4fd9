package cmdline

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

// A Setter is a flag's value as package cli has it: a function that takes the
// flag's text, or returns an error that says what to write instead.
type Setter func(string) error

func (s Setter) Set(text string) error { return s(text) }
func (s Setter) String() string        { return "" }

// Value makes a flag of a Setter or a Chooser. The environment can set it too, as
// Variable says; what stands on the command line goes before that.
func Value(name, usage string, set cli.Generic) cli.Flag {
	return &cli.GenericFlag{Name: name, Usage: usage, Value: set, EnvVars: []string{Variable(name)}}
}

// Text makes a flag, as Value does, that sets dst to its text.
func Text(name, usage string, dst *string) cli.Flag {
	return &cli.StringFlag{Name: name, Usage: usage, Destination: dst, EnvVars: []string{Variable(name)}}
}

// Toggle makes a flag without a value, as Value does, that sets dst to true.
func Toggle(name, usage string, dst *bool) cli.Flag {
	return &cli.BoolFlag{Name: name, Usage: usage, Destination: dst, DisableDefaultText: true, EnvVars: []string{Variable(name)}}
}

// Texts makes a flag, as Text does, that can be given more than once, and then sets
// dst to all its texts. So does one text with commas between.
func Texts(name, usage string, dst *[]string) cli.Flag {
	t := &texts{dst: dst}
	return &textsFlag{&cli.GenericFlag{Name: name, Usage: usage, Value: t, EnvVars: []string{Variable(name)}}, t}
}

// A textsFlag is what Texts makes.
type textsFlag struct {
	*cli.GenericFlag
	texts *texts
}

// Apply is cli.Flag's. It sets what the environment has.
func (f *textsFlag) Apply(set *flag.FlagSet) error {
	err := f.GenericFlag.Apply(set)
	f.texts.old = true
	return err
}

// IsSliceFlag is cli.DocGenerationSliceFlag's.
func (f *textsFlag) IsSliceFlag() bool { return true }

// texts is a flag's value as package cli has it.
type texts struct {
	dst *[]string
	old bool // what dst has gives way to what comes
}

func (t *texts) String() string { return "" }

func (t *texts) Set(s string) error {
	if t.old {
		*t.dst, t.old = nil, false
	}
	var more []string
	if err := List(&more)(s); err != nil {
		return err
	}
	*t.dst = append(*t.dst, more...)
	return nil
}

// Under puts flags into a category, by which help lists them: between two Headings.
// Package cli has a category of its own, which makes the start slower.
func Under(category string, flags ...cli.Flag) []cli.Flag {
	return append(append([]cli.Flag{Heading(category)}, flags...), Heading(""))
}

// A Heading is the category of the flags behind it, empty for none, among them. It is
// no flag itself.
type Heading string

func (h Heading) String() string            { return string(h) }
func (h Heading) Apply(*flag.FlagSet) error { return nil }
func (h Heading) Names() []string           { return nil }
func (h Heading) IsSet() bool               { return false }

// WithoutHeadings returns flags without the Headings among them.
func WithoutHeadings(flags []cli.Flag) []cli.Flag {
	return slices.DeleteFunc(slices.Clone(flags), func(f cli.Flag) bool {
		_, is := f.(Heading)
		return is
	})
}

// Unset takes from flags that Value, Text and Toggle made their variables in the
// environment.
func Unset(flags []cli.Flag) {
	for _, f := range flags {
		switch f := f.(type) {
		case *cli.GenericFlag:
			f.EnvVars = nil
		case *cli.StringFlag:
			f.EnvVars = nil
		case *cli.BoolFlag:
			f.EnvVars = nil
		}
	}
}

// Variable is the name in the environment of what a flag sets.
func Variable(flag string) string {
	return "SHARE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Duration takes a time. Zero becomes below, and is refused if that is 0: in
// a Config, 0 is the default.
func Duration(dst *time.Duration, below time.Duration) Setter {
	return func(s string) error {
		d, err := time.ParseDuration(s)
		if err != nil || d < 0 || d == 0 && below == 0 {
			return errors.New("want a time such as 500ms, 10s or 2m")
		}
		if *dst = d; d == 0 {
			*dst = below
		}
		return nil
	}
}

// Days takes a time as Duration does, and one in days: 90d.
func Days(dst *time.Duration) Setter {
	return func(s string) error {
		if n, err := strconv.Atoi(strings.TrimSuffix(s, "d")); err == nil && strings.HasSuffix(s, "d") && n > 0 && n <= maxDays {
			*dst = time.Duration(n) * 24 * time.Hour
			return nil
		}
		if Duration(dst, 0)(s) != nil {
			return fmt.Errorf("want a time such as 90d or 12h, up to %dd", maxDays)
		}
		return nil
	}
}

// maxDays is 100 years, beyond which a time does not fit a time.Duration soon.
const maxDays = 36500

// A Chooser is a flag's value as package cli has it: a word out of few.
type Chooser struct {
	Setter
	Words []string
}

// Choice takes one of choices.
func Choice[T any](dst *T, choices map[string]T) Chooser {
	words := slices.Sorted(maps.Keys(choices))
	return Chooser{func(s string) error {
		v, ok := choices[s]
		if !ok {
			return errors.New("want one of " + strings.Join(words, ", "))
		}
		*dst = v
		return nil
	}, words}
}

// Level takes the name of the least level to log.
func Level(dst *slog.Level) Chooser {
	return Choice(dst, map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError})
}

// Number takes a whole number from least to most.
func Number(dst *int, least, most int) Setter {
	return func(s string) (err error) {
		if *dst, err = strconv.Atoi(s); err != nil || *dst < least || *dst > most {
			return fmt.Errorf("want a number from %d to %d", least, most)
		}
		return nil
	}
}

// Size takes a number of bytes, least or more: 1500, 64KiB, 512MiB, 2GiB.
func Size(dst *int64, least int64) Setter {
	return func(s string) error {
		n, err := parseSize(s)
		if err != nil || n < least {
			return fmt.Errorf("want a size such as 64KiB, 512MiB or 2GiB, from %d bytes on", least)
		}
		*dst = n
		return nil
	}
}

func parseSize(s string) (int64, error) {
	shift := 0
	for i, unit := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if number, ok := strings.CutSuffix(s, unit); ok {
			s, shift = number, 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err == nil && (n < 0 || n > math.MaxInt64>>shift) {
		err = strconv.ErrRange
	}
	return n << shift, err
}

// List takes texts with commas between.
func List(dst *[]string) Setter {
	return func(s string) error {
		*dst = nil
		for part := range strings.SplitSeq(s, ",") {
			if part = strings.TrimSpace(part); part == "" {
				return errors.New("want one or more, with commas between")
			}
			*dst = append(*dst, part)
		}
		return nil
	}
}

// Prefixes takes networks in CIDR notation, or addresses, with commas between.
func Prefixes(dst *[]netip.Prefix) Setter {
	return func(s string) error {
		*dst = nil
		for part := range strings.SplitSeq(s, ",") {
			part = strings.TrimSpace(part)
			p, err := netip.ParsePrefix(part)
			if addr, aerr := netip.ParseAddr(part); aerr == nil {
				p, err = addr.Prefix(addr.BitLen())
			}
			if err != nil {
				return fmt.Errorf("want networks such as 10.0.0.0/8,fd00::/8, and not %q", part)
			}
			*dst = append(*dst, p.Masked())
		}
		return nil
	}
}

// Addresses takes IP addresses, with commas between.
func Addresses(dst *[]netip.Addr) Setter {
	return func(s string) error {
		*dst = nil
		for part := range strings.SplitSeq(s, ",") {
			part = strings.TrimSpace(part)
			addr, err := netip.ParseAddr(part)
			if err != nil || addr.Zone() != "" {
				return fmt.Errorf("want addresses such as 192.0.2.1,2001:db8::1, and not %q", part)
			}
			*dst = append(*dst, addr.Unmap())
		}
		return nil
	}
}

// URL takes a URL with a host.
func URL(dst **url.URL) Setter {
	return func(s string) error {
		u, err := url.Parse(s)
		if err != nil || u.Scheme == "" || u.Host == "" {
			return errors.New("want a URL such as https://share.example.com")
		}
		*dst = u
		return nil
	}
}
