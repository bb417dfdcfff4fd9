package admin

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"share/relay/store"
)

// backup answers with a backup. One that fails on its way is cut.
func (r *Relay) backup(w http.ResponseWriter, req *http.Request) {
	// It has what changed since names were last written down.
	err := r.Names.Save(req.Context())
	if err == nil {
		err = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(backupTimeout))
	}
	if err != nil {
		reply(w, nil, err)
		return
	}
	w.Header().Set("Content-Type", "application/jsonl")
	w.Header().Set("Cache-Control", "no-store")
	body := &begun{Writer: w}
	switch err := r.Accounts.Backup(req.Context(), body); {
	case err == nil:
	case body.yes:
		panic(http.ErrAbortHandler) // which only package http meets: no end is sent
	default:
		reply(w, nil, err)
	}
}

// begun is a writer that notes whether anything was written.
type begun struct {
	io.Writer
	yes bool
}

func (b *begun) Write(p []byte) (int, error) {
	b.yes = true
	return b.Writer.Write(p)
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
