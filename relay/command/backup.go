package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"share/relay"
	"share/relay/admin"
	"share/relay/store"
	"share/tunnel/cmdline"
)

// backup writes what the relay keeps to a file.
func (o *operator) backup() *cli.Command {
	return &cli.Command{
		Name:      "backup",
		Usage:     "write all that a relay keeps to a file, while it runs",
		ArgsUsage: "FILE",
		Description: "FILE gets all of it or stays as it was; - is the standard output. Digests of tokens are in it, and no secret:\n" +
			"certificates that a CA gave are obtained anew.",
		Flags: o.relayFlags(),
		Action: o.action("FILE", func(ctx context.Context, k *admin.Console, file string) error {
			if file == "-" {
				return k.Client.Backup(ctx, k.Out)
			}
			if err := replaceFile(file, func(w io.Writer) error { return k.Client.Backup(ctx, w) }); err != nil {
				return err
			}
			_, err := fmt.Fprintf(k.Out, "%s has all that the relay keeps\n", file)
			return err
		}),
	}
}

// replaceFile makes the file at path, with mode 0600, of what write writes: all
// of it, or path stays as it was. What is there and is no regular file, as a
// device, is left alone.
func replaceFile(path string, write func(io.Writer) error) error {
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // with mode 0600
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// restore puts what a relay has kept into a data folder.
func (o *operator) restore() *cli.Command {
	var force bool
	toggle := cmdline.Toggle("force", "replace what the folder has, and keep it in a file beside", &force)
	cmdline.Unset([]cli.Flag{toggle})
	return &cli.Command{
		Name:        "restore",
		Usage:       "put a backup into the data folder of a relay that does not run",
		ArgsUsage:   "FILE",
		Description: "FILE is what share relay backup has written; - is the standard input. A relay that then starts with the folder\nknows the tokens and names of the backup.",
		Flags:       []cli.Flag{toggle, o.dataFlag()},
		Action: func(c *cli.Context) error {
			file, err := argument(c, "FILE")
			if err != nil {
				return err
			}
			if err := o.folder(); err != nil {
				return err
			}
			in := c.App.Reader
			if file != "-" {
				f, err := os.Open(file)
				if err != nil {
					return cmdline.Unusable("name a file that share relay backup has written", err)
				}
				defer f.Close()
				in = f
			}
			kept, err := relay.RestoreData(c.Context, o.data, in, force)
			if err != nil {
				return notRestored(file, err)
			}
			said := ""
			if kept != "" {
				said = "; what was there is kept in " + kept
			}
			_, err = fmt.Fprintf(c.App.Writer, "%s is restored to %s%s\n", file, o.data, said)
			return err
		},
	}
}

// notRestored says why a backup was not restored. All is as it was.
func notRestored(file string, err error) error {
	bad, ok := errors.AsType[*store.BackupError](err)
	switch {
	case ok:
		return cmdline.Unusable("nothing was changed; restore another backup", fmt.Errorf("%s: %w", file, bad.Err))
	case errors.Is(err, relay.ErrInUse):
		return cmdline.Failed("stop that relay first", err)
	case errors.Is(err, relay.ErrHasState):
		return cmdline.Failed("--force replaces it, and keeps the old database beside", err)
	}
	return cmdline.Unusable("nothing was changed; --data wants a folder of the relay's own", err)
}
