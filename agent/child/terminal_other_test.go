//go:build !linux

package child

// runAtTerminal does nothing: terminals are tested on Linux.
func runAtTerminal(string) {}
