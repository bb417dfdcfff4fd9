package admin

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"share/relay/account"
	"share/relay/domain"
	"share/relay/route"
)

// WriteTokens writes tokens to w as a table, as they are at now.
func WriteTokens(w io.Writer, tokens []account.Token, now time.Time) error {
	return table(w, "ID\tLABEL\tNAMES\tTUNNELS\tEXCHANGES\tREQUESTS/S\tBYTES/S\tCREATED\tEXPIRES", len(tokens), func(i int) string {
		t := tokens[i]
		expires := "never"
		if !t.Expires.IsZero() {
			expires = day(t.Expires)
			if !now.Before(t.Expires) {
				expires += " (expired)"
			}
		}
		return strings.Join(slices.Concat([]string{t.ID, t.Account}, limits(&t), []string{day(t.Created), expires}), "\t")
	})
}

// limits says what a token is good for: names, and how many tunnels, exchanges,
// requests and bytes.
func limits(t *account.Token) []string {
	if t.Role != account.RoleAgent {
		return []string{"(" + string(t.Role) + ")", "none", "none", "none", "none"}
	}
	return []string{patterns(t.Names), quota(t.MaxTunnels), quota(t.MaxExchanges), quota(t.RequestsPerSecond), size(t.BytesPerSecond)}
}

func patterns(names []string) string {
	if len(names) == 0 {
		return "*"
	}
	return strings.Join(names, ",")
}

// WriteTrusts writes trusts to w as a table, as they are at now.
func WriteTrusts(w io.Writer, trusts []account.Trust, now time.Time) error {
	return table(w, "ID\tLABEL\tISSUER\tSUBJECT\tNAMES\tTUNNELS\tEXCHANGES\tREQUESTS/S\tBYTES/S\tPINNED TO", len(trusts), func(i int) string {
		t := trusts[i]
		var pins []string
		for _, claim := range slices.Sorted(maps.Keys(t.Pins)) {
			pins = append(pins, claim+"="+t.Pins[claim])
		}
		switch {
		case t.Late(now):
			pins = append(pins, "nothing more: it was not used by "+day(t.PinBy()))
		case !t.Pinned():
			pins = append(pins, "the first until "+day(t.PinBy()))
		case len(pins) == 0:
			pins = []string{"subject"}
		}
		token := t.Token()
		return strings.Join(slices.Concat([]string{t.ID, t.Account, t.Issuer, t.Subject}, limits(&token), []string{strings.Join(pins, ",")}), "\t")
	})
}

// WriteNames writes names to w as a table, as they are at now.
func WriteNames(w io.Writer, names []route.Status, now time.Time) error {
	return table(w, "NAME\tLABEL\tRESERVED\tHELD", len(names), func(i int) string {
		n := names[i]
		reserved, held := "no", "by "+n.Agent
		if n.Reserved {
			reserved = "yes"
		}
		if n.Agent == "" {
			held = "by nobody for " + since(now, n.Left)
		}
		return strings.Join([]string{n.Name.Name, n.Account, reserved, held}, "\t")
	})
}

// WriteTunnels writes the names that agents hold to w as a table.
func WriteTunnels(w io.Writer, tunnels []route.Status, now time.Time) error {
	return table(w, "NAME\tLABEL\tAGENT\tFOR\tOPEN", len(tunnels), func(i int) string {
		t := tunnels[i]
		return strings.Join([]string{t.Name.Name, t.Account, t.Agent, since(now, t.Since), fmt.Sprint(t.Live)}, "\t")
	})
}

// WriteDomains writes domains to w as a table.
func WriteDomains(w io.Writer, domains []domain.Status) error {
	return table(w, "DOMAIN\tNAME\tLABEL\tVERIFIED", len(domains), func(i int) string {
		d := domains[i]
		verified := "no: " + d.Reason
		if !d.Verified.IsZero() {
			verified = day(d.Verified)
		}
		if !d.Doubted.IsZero() {
			verified += ", but " + d.Reason
		}
		if d.Problem != "" {
			verified += ", but " + d.Problem
		}
		return strings.Join([]string{d.Domain.Domain, d.Name, d.Account, verified}, "\t")
	})
}

// table writes a head and n rows, their cells between tabs.
func table(w io.Writer, head string, n int, row func(int) string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, head) // an error stays for Flush
	for i := range n {
		fmt.Fprintln(tw, row(i))
	}
	return tw.Flush()
}

// quota writes a number that a token bounds.
func quota(n int) string {
	if n == 0 {
		return "any"
	}
	return fmt.Sprint(n)
}

// size is quota for bytes: in the largest unit that they are a whole number of.
func size(n int64) string {
	if n == 0 {
		return "any"
	}
	unit := ""
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if n%1024 != 0 {
			break
		}
		n, unit = n/1024, next
	}
	return fmt.Sprint(n) + unit
}

func day(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

// since says how long before now t was; not at all, if it is zero.
func since(now, t time.Time) string {
	if t.IsZero() {
		t = now
	}
	d := max(now.Sub(t), 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}
