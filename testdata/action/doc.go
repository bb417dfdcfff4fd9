// Package action runs the action of .github/actions/share and the examples beside
// it as a runner of GitHub Actions does, with a relay, an issuer of identity tokens
// and an API for comments that are near.
//
// It is a module of its own, since nothing else reads YAML.
package action
