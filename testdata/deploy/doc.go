// Package deploy carries out what the documents say: every command of README.md
// and of relay/deploy, the operator's guide, its units and the container's recipe,
// as far as that goes without a systemd that runs and without a container engine.
//
// Commands are executed as they stand there. Ports are opened for the relay as
// systemd would, whichever they are here, names lead to where they are by a proxy,
// and pebble passes for Let's Encrypt.
package deploy
