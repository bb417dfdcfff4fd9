package command

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"share/agent/credential"
	"share/tunnel/cmdline"
)

// keyringVariable turns the keyring off, for tests and jobs.
const keyringVariable = "SHARE_KEYRING"

// credentials are what share login has kept.
func (p *Process) credentials() (*credential.Store, error) {
	store := &credential.Store{Dir: p.ConfigDir}
	switch v := p.Getenv(keyringVariable); v {
	case "off":
	case "", "on":
		if p.hasKeyring() {
			store.Keyring = credential.System()
		}
	default:
		return nil, cmdline.Usage("set it to off or on, or not at all", "%s is %.100q", keyringVariable, v)
	}
	return store, nil
}

// hasKeyring reports whether a keyring may be there. Without a session bus, asking
// for one would start a bus, which nobody ends.
func (p *Process) hasKeyring() bool {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		return true
	}
	if bus := p.Getenv("DBUS_SESSION_BUS_ADDRESS"); bus != "" {
		return !strings.HasPrefix(bus, "autolaunch:")
	}
	if p.RuntimeDir == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(p.RuntimeDir, "bus"))
	return err == nil
}
