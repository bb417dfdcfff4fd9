package doctor

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"runtime"
	"strings"

	"share/agent"
	"share/tunnel/cmdline"
)

// checkState looks at the folder for what outlives an agent.
func (d *Doctor) checkState() cmdline.Result {
	const check cmdline.Check = "config"
	dir := d.Agent.StateDir
	if dir == "" {
		return check.Warning("set SHARE_STATE_DIR, or HOME", "there is no state folder: names change with each start")
	}
	err := agent.CheckState(dir)
	e, damaged := errors.AsType[*cmdline.Error](err)
	switch {
	case err == nil:
		return check.OK("the state folder %s can be used", dir)
	case errors.Is(err, fs.ErrNotExist):
		return check.OK("the state folder %s is not there yet: the first agent makes it", dir)
	case damaged:
		return check.Failed(e.Hint, "%s", e.Message)
	}
	return check.Failed("give this user the folder and what is in it, or set SHARE_STATE_DIR", "the state folder cannot be used: %v", err)
}

// checkToken looks for what lets the agent in, and has it from then on.
func (d *Doctor) checkToken() cmdline.Result {
	const check cmdline.Check = "token"
	token, from := d.EnvToken, "SHARE_TOKEN"
	if token == "" && d.TokenFile != "" {
		var err error
		from = d.TokenFile
		if token, err = agent.LoadToken(d.TokenFile); err != nil {
			cure := "name another --token-file"
			if e, ok := errors.AsType[*cmdline.Error](err); ok {
				cure = e.Hint
			}
			return check.Failed(cure, "%v", err)
		}
	}
	if !agent.ValidToken(token) {
		return check.Failed("a token is one line of printable ASCII without spaces, at most 4096 bytes", "what %s has is no token", from)
	}
	d.Agent.Token = token
	if token == "" && d.far() {
		d.Agent.Identity = agent.FindIdentity(d.Machine.Getenv)
	}
	switch {
	case token != "" && from != "SHARE_TOKEN" && open(d.TokenFile):
		return check.Warning("chmod 600 "+d.TokenFile, "it is in %s, which others on this machine can read", from)
	case token != "" && len(d.Relays) == 0:
		return check.OK("it is in %s, and goes nowhere without a relay", from)
	case token != "":
		return check.OK("it is in %s", from)
	case d.LoginsErr != nil:
		cure := "share logout, and log in again"
		if e, ok := errors.AsType[*cmdline.Error](d.LoginsErr); ok {
			cure = e.Hint
		}
		return check.Failed(cure, "%v", d.LoginsErr)
	case d.Agent.Identity != nil:
		return check.OK("there is none; the identity of %s is shown in its place", d.Agent.Identity)
	case d.far() && d.Machine.Getenv("GITHUB_ACTIONS") == "true":
		return check.Failed("put a token into SHARE_TOKEN, or give the job the permission id-token: write and have the relay trust it", "there is none, and the job has no identity")
	case d.far():
		return check.Failed("put it into SHARE_TOKEN, or run share login; the relay's owner has it", "there is none")
	}
	if len(d.Logins) > 0 {
		return check.OK("share login has kept it")
	}
	return check.Skipped("there is none, and only a relay on another machine must have one")
}

// open reports whether others than its owner can read a file.
func open(file string) bool {
	info, err := os.Stat(file)
	return err == nil && runtime.GOOS != "windows" && info.Mode().IsRegular() && info.Mode().Perm()&0o044 != 0
}

// checkVariables looks at what the environment says of proxies. Their users and
// passwords are not shown.
func (d *Doctor) checkVariables() cmdline.Result {
	const check cmdline.Check = "proxy variables"
	https, proxy := d.variable("HTTPS_PROXY")
	if https == "" {
		for _, name := range []string{"HTTP_PROXY", "ALL_PROXY"} {
			if other, _ := d.variable(name); other != "" && d.far() {
				return check.Warning("set HTTPS_PROXY if the relay is behind the proxy", "%s is set, and agents go by HTTPS_PROXY alone", other)
			}
		}
		return check.OK("HTTPS_PROXY is not set")
	}
	u, err := parseProxy(proxy)
	switch {
	case err != nil:
		return check.Failed("write it as http://host:port", "%s is no URL of a proxy", https)
	case u.Scheme != "http" && u.Scheme != "https":
		return check.Failed("name a proxy of http or https, or exempt the relay with NO_PROXY", "%s has the scheme %s, which agents do not speak", https, u.Scheme)
	}
	text := https + " is " + u.Scheme + "://" + u.Host
	if u.User != nil {
		text += ", with a user"
	}
	if no, hosts := d.variable("NO_PROXY"); no != "" {
		text += "; " + no + " exempts " + hosts
	}
	return check.OK("%s", text)
}

// variable returns a variable of the environment, and which of its two names it has.
func (d *Doctor) variable(name string) (found, value string) {
	for _, found := range []string{name, strings.ToLower(name)} {
		if value := d.Machine.Getenv(found); value != "" {
			return found, value
		}
	}
	return "", ""
}

// parseProxy reads the URL of a proxy, which may lack the scheme http. The error may
// have all of it.
func parseProxy(s string) (*url.URL, error) {
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	u, err := url.Parse(s)
	if err == nil && u.Hostname() == "" {
		err = errors.New("no host")
	}
	return u, err
}
