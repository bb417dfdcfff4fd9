package admin

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"share/relay/store"
)

// backup answers with a backup. One that fails on its way is cut.
func (r *Relay) backup(w http.ResponseWriter, req *http.Request) {
	// It has what changed since names were last written down.
	if err := r.Names.Save(req.Context()); err != nil {
		reply(w, nil, err)
		return
	}
	w.Header().Set("Content-Type", "application/jsonl")
	w.Header().Set("Cache-Control", "no-store")
	body := &begun{ResponseWriter: w, end: time.Now().Add(backupTimeout)}
	switch err := r.Accounts.Backup(req.Context(), body); {
	case err == nil:
	case body.yes:
		panic(http.ErrAbortHandler) // which only package http meets: no end is sent
	default:
		reply(w, nil, err)
	}
}

// backupPart is how much of a backup is to be taken within stallTimeout.
const backupPart = 4 << 10

// begun is a writer that notes whether anything was written, and gives up when
// that is not taken, or at its end.
type begun struct {
	http.ResponseWriter
	end time.Time
	yes bool
}

func (b *begun) Write(p []byte) (n int, err error) {
	conn := http.NewResponseController(b.ResponseWriter)
	for part := range slices.Chunk(p, backupPart) {
		deadline := time.Now().Add(stallTimeout)
		if deadline.After(b.end) {
			deadline = b.end
		}
		if err := conn.SetWriteDeadline(deadline); err != nil {
			return n, err
		}
		b.yes = true
		k, err := b.ResponseWriter.Write(part)
		if n += k; err != nil {
			return n, err
		}
	}
	return n, nil
}

// Backup writes a backup of all that the relay keeps to w. It returns nil once
// that is known to be whole.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	patient := c.http
	patient.Timeout = backupTimeout
	resp, err := c.send(ctx, &patient, "GET", "/v1/backup", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := store.CheckBackup(ctx, io.TeeReader(resp.Body, w)); err != nil {
		return fmt.Errorf("backup from the relay: %w", err)
	}
	return nil
}
