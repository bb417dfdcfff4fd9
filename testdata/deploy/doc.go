// Package deploy carries out what relay/deploy says: the units, the container's
// recipe and the operator's guide, as far as that goes without a systemd that
// runs and without a container engine.
package deploy
