package child

import (
	"slices"
	"strings"
)

// Environ gives the environment for a program: that of this process without what
// is this process's alone, which is its secrets and its talk with systemd, and
// with more.
func Environ(env []string, more ...string) []string {
	env = slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return private(name) || slices.ContainsFunc(more, func(m string) bool { return strings.HasPrefix(m, name+"=") })
	})
	return append(env, more...)
}

// private reports whether a variable is not for others. Windows takes a name in any
// case for the same.
func private(name string) bool {
	name = strings.ToUpper(name)
	switch name {
	case "SHARE_TOKEN", "SHARE_TOKEN_FILE", "SHARE_ADMIN_TOKEN", "SHARE_ID_TOKEN",
		"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES":
		return true
	}
	return strings.HasPrefix(name, "ACTIONS_ID_TOKEN_REQUEST_")
}
