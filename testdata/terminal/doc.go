// Package terminal tries the live view of share http in tmux, as a person sees
// it: windows of several sizes, keys, and a target and a relay that come and go.
package terminal
