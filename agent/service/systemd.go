package service

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"
)

// unit is a user unit. An agent is ready when it has its URL, which a relay that is
// away may delay for ever. What ends it with a code that no retry helps stays as it
// is; share stop ends it with 0.
const unit = `# share service install has written this, and share service uninstall removes it.
[Unit]
Description=%s
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart=%s
WorkingDirectory=%s
%sRestart=on-failure
RestartSec=1
RestartPreventExitStatus=2 3 4 5 8
WatchdogSec=30
TimeoutStartSec=infinity
TimeoutStopSec=45

[Install]
WantedBy=default.target
`

func (s *Service) systemd(p Place) *plan {
	name := s.label() + ".service"
	words := []string{quote(s.Program)}
	for _, arg := range s.Args {
		words = append(words, strings.ReplaceAll(quote(arg), "$", "$$"))
	}
	folder := percent(s.Folder)
	if strings.HasSuffix(folder, `\`) || strings.HasSuffix(folder, " ") {
		folder += "/" // else the line would go on, or end earlier
	}
	environment := ""
	for _, v := range s.Environment {
		environment += "Environment=" + quote(v) + "\n"
	}
	control := func(args ...string) []string { return append([]string{"systemctl", "--user"}, args...) }
	return &plan{
		path: filepath.Join(cmp.Or(p.Config, filepath.Join(p.Home, ".config")), "systemd", "user", name),
		text: fmt.Sprintf(unit, s.description(), strings.Join(words, " "), folder, environment),
		// Without waiting: it may be long until there is a relay.
		install:   [][]string{control("daemon-reload"), control("enable", name), control("restart", "--no-block", name)},
		uninstall: [][]string{control("disable", "--now", name)},
		after:     control("daemon-reload"),
		status:    control("status", "--no-pager", "--full", name),
	}
}

// quote makes one word of s (systemd.syntax(7), "Quoting").
func quote(s string) string {
	return `"` + percent(strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s)) + `"`
}

// percent has s stand for itself (systemd.unit(5), "Specifiers").
func percent(s string) string { return strings.ReplaceAll(s, "%", "%%") }
