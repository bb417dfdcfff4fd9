// Package terminal tries the live view of share http and share up in tmux, as a
// person sees it: windows of several sizes, keys, and a target and a relay that come
// and go.
package terminal
