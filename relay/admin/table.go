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
	return table(w, "ID\tLABEL\tNAMES\tTUNNELS\tCREATED\tEXPIRES", len(tokens), func(i int) string {
		t := tokens[i]
		names, tunnels := limits(&t)
		expires := "never"
		if !t.Expires.IsZero() {
			expires = day(t.Expires)
			if !now.Before(t.Expires) {
				expires += " (expired)"
			}
		}
		return strings.Join([]string{t.ID, t.Account, names, tunnels, day(t.Created), expires}, "\t")
	})
}

// limits says what a token is good for.
func limits(t *account.Token) (names, tunnels string) {
	if t.Role != account.RoleAgent {
		return "(" + string(t.Role) + ")", "none"
	}
	names, tunnels = "*", "any"
	if len(t.Names) > 0 {
		names = strings.Join(t.Names, ",")
	}
	if t.MaxTunnels > 0 {
		tunnels = fmt.Sprint(t.MaxTunnels)
	}
	return names, tunnels
}

// WriteTrusts writes trusts to w as a table, as they are at now.
func WriteTrusts(w io.Writer, trusts []account.Trust, now time.Time) error {
	return table(w, "ID\tLABEL\tISSUER\tSUBJECT\tNAMES\tTUNNELS\tPINNED TO", len(trusts), func(i int) string {
		t := trusts[i]
		token := t.Token()
		names, tunnels := limits(&token)
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
		return strings.Join([]string{t.ID, t.Account, t.Issuer, t.Subject, names, tunnels, strings.Join(pins, ",")}, "\t")
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
