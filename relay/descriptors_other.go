//go:build !unix

package relay

// descriptors is how many the process may have open: here that is not bounded.
func descriptors() int64 { return 0 }
