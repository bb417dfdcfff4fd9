//go:build linux

package deploy

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// systemctl does what the guide has it do: it runs the one unit that is installed.
// It opens the ports for it, as share-relay.socket would.
const systemctl = `#!/bin/sh
set -eu
unit=$ROOT/etc/systemd/system/share-relay.service
pid() {
	{ cat "$ROOT/pid"; tail -n "+$(cat "$ROOT/before")" "$ROOT/log" | sed -n 's/.*msg=upgrading pid=\([0-9]*\).*/\1/p'; } | tail -n 1
}
case "$*" in
daemon-reload) ;;
"stop share-relay")
	main=$(pid)
	kill "$main"
	while grep -vsq ') Z ' "/proc/$main/stat"; do sleep 0.05; done
	;;
"enable --now share-relay" | "start share-relay")
	credentials=$ROOT/credentials
	mkdir -p "$credentials" "$ROOT/var/lib/share-relay"
	chmod 0700 "$ROOT/var/lib/share-relay"
	cat "$unit" >"$ROOT/unit"
	for more in "$unit".d/*.conf; do
		if [ -e "$more" ]; then cat "$more" >>"$ROOT/unit"; fi
	done
	sed -n 's/^LoadCredential=//p' "$ROOT/unit" | while IFS=: read -r name path; do cp "$path" "$credentials/$name"; done
	for v in $(cat "$ROOT/etc/share/relay.env") $(sed -n "s,%d,$credentials,g; s/^Environment=//p" "$ROOT/unit"); do export "$v"; done
	touch "$ROOT/log"
	echo $(($(wc -l <"$ROOT/log") + 1)) >"$ROOT/before"
	sh -c 'export LISTEN_PID=$$; exec "$@"' sh $(sed -n "s,%S,$ROOT/var/lib,; s/^ExecStart=//p" "$ROOT/unit") >>"$ROOT/log" 2>&1 &
	echo $! >"$ROOT/pid"
	;;
"restart share-relay")
	"$0" stop share-relay
	"$0" start share-relay
	;;
"reload share-relay")
	MAINPID=$(pid) sh -c "$(sed -n 's/^ExecReload=//p' "$unit")"
	;;
"kill -s USR2 --kill-whom=main share-relay")
	kill -USR2 "$(pid)"
	;;
*)
	echo "the test does not know systemctl $*" >&2
	exit 1
	;;
esac
`

// A server is a site whose relay is a service of systemd.
type server struct{ *site }

// newServer makes a server, with what the guide installs in its working folder.
func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{newSite(t)}
	root := s.root
	s.others = append(s.others,
		"/usr/local/bin", filepath.Join(root, "usr/local/bin"),
		"/etc/", filepath.Join(root, "etc")+"/",
		"/var/lib", filepath.Join(root, "var/lib"),
		"/root/", root+"/",
		"ns1.example.com", s.primaryAt)
	bin := build(t)
	unit := strings.ReplaceAll(read(t, "share-relay.service"), "/usr/local/bin", filepath.Join(root, "usr/local/bin"))
	for name, text := range map[string]string{
		"work/share-relay.service": unit,
		"work/dns.key":             "key \"share\" {\n\talgorithm hmac-sha256;\n\tsecret \"" + s.primary.Secret + "\";\n};\n",
		"work/share-dns":           s.hookText(),
		"bin/systemctl":            systemctl,
		"bin/groupadd":             "#!/bin/sh\n",
		"bin/chgrp":                "#!/bin/sh\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink(bin, filepath.Join(root, "work/share")), os.Symlink(bin, filepath.Join(root, "work/share-new"))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, pid := range s.pids() {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		if t.Failed() {
			t.Log(s.log())
		}
	})
	return s
}

// log is what the service has written.
func (s *server) log() string {
	text, _ := os.ReadFile(filepath.Join(s.root, "log"))
	return string(text)
}

// pids are those of all processes that were the service.
func (s *server) pids() (pids []int) {
	text, _ := os.ReadFile(filepath.Join(s.root, "pid"))
	words := strings.Fields(string(text))
	for line := range strings.Lines(s.log()) {
		if _, rest, ok := strings.Cut(line, "msg=upgrading pid="); ok {
			words = append(words, strings.Fields(rest)[0])
		}
	}
	for _, w := range words {
		if pid, err := strconv.Atoi(w); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// awaits executes a command, and waits for text in what the service writes from
// then on.
func (s *server) awaits(t *testing.T, command, text string) {
	t.Helper()
	before := len(s.log())
	s.run(t, command)
	until(t, command+": "+text, func() bool { return strings.Contains(s.log()[before:], text) })
}
