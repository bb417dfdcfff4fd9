// Package upgrades replaces a relay by itself, and agents by themselves, again
// and again while visitors ask 300 times a second, and counts what fails: nothing
// may.
//
// Visitors come over fresh connections and over ones that they keep, by HTTP/1.1
// and by HTTP/2, and send what must not be sent twice. UPGRADES in the environment
// says how often each is replaced.
package upgrades
