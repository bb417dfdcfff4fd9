package service

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"path/filepath"
	"strings"
)

// property is an agent of launchd. That cannot tell one exit code from another: what
// no retry helps is tried again each minute.
const property = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- share service install has written this, and share service uninstall removes it. -->
<plist version="1.0">
<dict>
	<key>Label</key>
	<string>%s</string>
	<key>ProgramArguments</key>
	<array>
%s	</array>
	<key>WorkingDirectory</key>
	<string>%s</string>
	<key>EnvironmentVariables</key>
	<dict>
%s	</dict>
	<key>RunAtLoad</key>
	<true/>
	<key>KeepAlive</key>
	<dict>
		<key>SuccessfulExit</key>
		<false/>
	</dict>
	<key>ThrottleInterval</key>
	<integer>60</integer>
	<key>ExitTimeOut</key>
	<integer>45</integer>
</dict>
</plist>
`

func (s *Service) launchd(p Place) *plan {
	var args, environment strings.Builder
	for _, arg := range append([]string{s.Program}, s.Args...) {
		fmt.Fprintf(&args, "\t\t<string>%s</string>\n", escape(arg))
	}
	for _, v := range s.Environment {
		name, value, _ := strings.Cut(v, "=")
		fmt.Fprintf(&environment, "\t\t<key>%s</key>\n\t\t<string>%s</string>\n", escape(name), escape(value))
	}
	path := filepath.Join(p.Home, "Library", "LaunchAgents", s.label()+".plist")
	domain := fmt.Sprintf("gui/%d", p.UID)
	service := domain + "/" + s.label()
	return &plan{
		path: path,
		text: fmt.Sprintf(property, s.label(), args.String(), escape(s.Folder), environment.String()),
		// One that is there keeps what it was told until it is gone.
		install:   [][]string{{"sh", "-c", `launchctl bootout "$0" 2>/dev/null; launchctl bootstrap "$1" "$2"`, service, domain, path}},
		uninstall: [][]string{{"sh", "-c", `if launchctl print "$0" >/dev/null 2>&1; then launchctl bootout "$0"; fi`, service}},
		status:    []string{"launchctl", "print", service},
	}
}

// escape makes text of XML of s.
func escape(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a Buffer takes all
	return b.String()
}
