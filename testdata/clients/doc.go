// Package clients has real clients go through a tunnel: curl, git, gRPC,
// WebDAV, WebSocket, event streams, h2spec, and raw HTTP/1.1 messages that
// are odd but legal. What each gets must equal what it gets without a tunnel.
//
// It is a module of its own, so that the product's module does not require
// what only these tests need.
package clients
