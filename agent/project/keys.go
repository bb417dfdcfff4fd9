package project

// A kind is what a key's value looks like.
type kind uint8

const (
	isText   kind = iota // anything
	isFile               // the path of a file or folder, from the file's own folder on
	isToggle             // true or false
	isTime               // 500ms, 10s, 2m
	isNumber             // from 1 to 8
	isList               // one text, or several
	isChoice             // one of choices
)

// A key is a word of a file. It is called as the flag that means the same.
type key struct {
	name    string
	kind    kind
	choices []string
	scope   scope
	usage   string
}

// A scope is where a key may stand.
type scope uint8

const (
	inAll    scope = iota // in a tunnel, and in both files' defaults
	inTunnel              // in a tunnel alone
	inUser                // in the user's defaults alone: it is about tokens
)

// keys are all there are. They come from a function because few commands need
// them.
func keys() []key {
	return []key{
		{name: "kind", kind: isChoice, choices: []string{"http"}, scope: inTunnel, usage: "what the target is (default: http)"},
		{name: "target", scope: inTunnel, usage: "what is shared: a port of this machine, host:port, a URL, or unix:/path"},
		{name: "name", scope: inTunnel, usage: "the name to ask for (default: one that stays the same for this folder and tunnel)"},
		{name: "domain", scope: inTunnel, usage: "a domain of the account's own that leads to the name"},
		{name: "random", kind: isToggle, scope: inTunnel, usage: "ask for a new name each time"},
		{name: "takeover", kind: isToggle, scope: inTunnel, usage: "take the name from another agent of the same account"},
		{name: "relay", kind: isList, usage: "the relay, or several (default: one in the process)"},
		{name: "lanes", kind: isNumber, usage: "the least number of connections to the relay (default: 1)"},
		{name: "require-verified", kind: isToggle, usage: "give up when no request comes back through the URL"},
		{name: "hold", kind: isTime, usage: "how long requests wait while nothing listens on the target (default: not at all)"},
		{name: "connect-timeout", kind: isTime, usage: "the bound of a connect to the target (default: 5s)"},
		{name: "header-timeout", kind: isTime, usage: "the bound of the wait for the target's answer (default: 120s)"},
		{name: "host-header", usage: "the Host that the target sees: keep, target, or a host (default: keep)"},
		{name: "insecure-target", kind: isToggle, usage: "accept any certificate of the target"},
		{name: "errors", kind: isChoice, choices: []string{"brief", "full"}, usage: "whether visitors are told the target's address when it fails (default: if it is on loopback)"},
		{name: "error-pages", kind: isFile, usage: "the folder of pages to show when it fails"},
		{name: "grace", kind: isTime, usage: "how long requests in flight may take to end (default: 10s)"},
		{name: "relay-ca", kind: isFile, scope: inUser, usage: "the certificates that sign the relay's"},
		{name: "token-file", kind: isFile, scope: inUser, usage: "the file that has the token"},
		{name: "insecure", kind: isToggle, scope: inUser, usage: "let the token travel in plain to a relay that is not on loopback"},
	}
}

// allowed are the keys that may stand in a tunnel of a project's file, or in the
// defaults of that or of the user's.
func allowed(project, tunnel bool) (some []key) {
	for _, k := range keys() {
		if k.scope == inAll || k.scope == inTunnel && tunnel || k.scope == inUser && !project {
			some = append(some, k)
		}
	}
	return some
}

// Keys are the names of all keys.
func Keys() (names []string) {
	for _, k := range keys() {
		names = append(names, k.name)
	}
	return names
}

func find(keys []key, name string) (key, bool) {
	for _, k := range keys {
		if k.name == name {
			return k, true
		}
	}
	return key{}, false
}
