package service

import (
	"fmt"
	"path/filepath"
	"strings"
)

// task is a task of Windows, which begins when its user logs in. The system tries a
// task again a bounded number of times, whatever its code.
const task = `<?xml version="1.0" encoding="UTF-8"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>%s</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <UserId>%s</UserId>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>%s</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>999</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>%s</Command>
      <Arguments>%s</Arguments>
      <WorkingDirectory>%s</WorkingDirectory>
    </Exec>
  </Actions>
</Task>
`

// task has no place for an environment: the user's is the task's.
func (s *Service) task(p Place) *plan {
	words := make([]string, len(s.Args))
	for i, arg := range s.Args {
		words[i] = windowsWord(arg)
	}
	path := filepath.Join(p.State, s.label()+".xml")
	return &plan{
		path: path,
		text: fmt.Sprintf(task, s.description(), escape(p.User), escape(p.User), escape(s.Program), escape(strings.Join(words, " ")), escape(s.Folder)),
		install: [][]string{
			{"schtasks", "/Create", "/F", "/TN", s.label(), "/XML", path},
			{"schtasks", "/Run", "/TN", s.label()},
		},
		uninstall: [][]string{{"schtasks", "/End", "/TN", s.label()}, {"schtasks", "/Delete", "/F", "/TN", s.label()}},
		status:    []string{"schtasks", "/Query", "/V", "/FO", "LIST", "/TN", s.label()},
	}
}

// windowsWord quotes s as programs of Windows take their command line apart:
// backslashes before a quotation mark count double.
func windowsWord(s string) string {
	if s != "" && !strings.ContainsAny(s, " \"") {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	slashes := 0
	for _, c := range []byte(s) {
		switch c {
		case '\\':
			slashes++
		case '"':
			b.WriteString(strings.Repeat(`\`, slashes+1))
			slashes = 0
		default:
			slashes = 0
		}
		b.WriteByte(c)
	}
	b.WriteString(strings.Repeat(`\`, slashes))
	b.WriteByte('"')
	return b.String()
}
