package admin

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"share/relay/account"
	"share/relay/route"
)

// WriteTokens writes tokens to w as a table, as they are at now.
func WriteTokens(w io.Writer, tokens []account.Token, now time.Time) error {
	return table(w, "ID\tLABEL\tNAMES\tTUNNELS\tCREATED\tEXPIRES", len(tokens), func(i int) string {
		t := tokens[i]
		names, tunnels, expires := "*", "any", "never"
		if len(t.Names) > 0 {
			names = strings.Join(t.Names, ",")
		}
		if t.MaxTunnels > 0 {
			tunnels = fmt.Sprint(t.MaxTunnels)
		}
		if !t.Expires.IsZero() {
			expires = day(t.Expires)
			if !now.Before(t.Expires) {
				expires += " (expired)"
			}
		}
		return strings.Join([]string{t.ID, t.Account, names, tunnels, day(t.Created), expires}, "\t")
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
