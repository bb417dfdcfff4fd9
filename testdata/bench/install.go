package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// install sees to it that the tools are there: from Debian if we are root,
// else it says what is missing.
func install(ctx context.Context) error {
	var missing []string
	for tool, pkg := range map[string]string{"nginx": "nginx", "wrk": "wrk", "h2load": "nghttp2-client"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, pkg)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil || os.Getuid() != 0 {
		return fmt.Errorf("missing Debian packages: install %s", strings.Join(missing, " "))
	}
	fmt.Fprintln(os.Stderr, "bench: installing", strings.Join(missing, " "))
	if _, err := command(ctx, 5*time.Minute, "apt-get", "-q", "update"); err != nil {
		return err
	}
	args := append([]string{"-qy", "--no-install-recommends", "install"}, missing...)
	_, err := command(ctx, 5*time.Minute, "apt-get", args...)
	return err
}
