// Package devservers has a browser look at development servers through a tunnel:
// Vite, Next.js, webpack-dev-server, Django and Flask, as npm and Debian bring
// them. Pages load, hot reload arrives, the hints come where they are due and
// nowhere else, and a restart is not seen.
//
// It is a module of its own, and no part of make test: it fetches half a gigabyte.
// The folder of what npm brings is removed at the end, unless DEVSERVERS names it.
package devservers
