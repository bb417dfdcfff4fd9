package main

import "github.com/rogpeppe/go-internal/testscript"

// scriptCommands are what scripts can do beside testscript's own commands.
//
//	start [-tty] NAME COMMAND ARG...   run a command beside the script, -tty at a terminal
//	await NAME RE [VAR...]             wait until it writes a line like RE, and set each VAR to a group of RE
//	type NAME TEXT                     type TEXT, in which \r and \x1b are escapes, at its terminal
//	unechoed NAME                      wait until its terminal does not show what is typed
//	pid NAME VAR                       set VAR to its process id
//	signal NAME SIGNAL                 send it INT, TERM, KILL, STOP, CONT, HUP, QUIT, ABRT or USR2
//	ended NAME CODE                    wait for its end with this exit code, -1 for a signal; its output is in NAME.stdout and NAME.stderr
//	reap                               kill what --detach leaves behind, when the script ends
//	fails [-in FILE] CODE RE COMMAND ARG...
//	                                   run a command that must end with CODE and one line on stderr, which is like RE;
//	                                   lines of a file may stand below
//	target [-tls] VAR [PORT]           serve HTTP on PORT or a free one, and set VAR to it
//	target -unix VAR PATH              serve HTTP at a unix socket, and set VAR to its path
//	target -ipv6 VAR PORT              serve HTTP on PORT of ::1 alone
//	answering [-h2] VAR FILE           answer each request with FILE, %s there being its Host, close, and set VAR to the port;
//	                                   -h2 in HTTP/2, with its status and, line by line, its body
//	gated, open                        wait until a request for /gate is at a target; let all of them be answered
//	freeport VAR                       set VAR to a port that nothing listens on
//	occupy VAR                         set VAR to a port whose listener never answers
//	oldrelay VAR                       set VAR to a port where a relay of another protocol version listens
//	front [-tls NAME] VAR PORT         pass HTTP and upgrades on to PORT, -tls with NAME's certificate, and set VAR to where
//	proxy VAR PORT USER:PASSWORD       pass what asks by CONNECT on to PORT, and set VAR to where
//	certificate NAME HOST...           write NAME.crt and NAME.key
//	issuer NAME VAR                    issue identity tokens with NAME's certificate, which is for localhost, and set VAR to the URL
//	idtoken VAR CLAIMS                 set VAR to a token of the issuer with CLAIMS, as parameters of a URL; age=TIME makes it older
//	decide CODE [CLAIMS]               have the user who typed CODE at the issuer say yes, with CLAIMS likewise, or no
//	misanswer PATH STATUS FILE         have the issuer answer with FILE at PATH, which is where a redirect leads
//	[!] get [-x METHOD] [-a ACCEPT] [-h HOST] [-f FIELD] [-ca FILE] URL
//	                                   write an answer's status line, fields and body to stdout; NAME.localhost and NAME.test are loopback
//	until RE get ...                   get until the answer is like RE
//	ask NAME get ...                   get beside the script
//	[!] answered NAME                  wait for that, and write the answer to stdout
//	load NAME URL                      ask for URL over several connections, again and again
//	loaded NAME                        end that; each answer must have been a whole 200
//	raw [-from ADDRESS] PORT TEXT      send TEXT, in which \r, \n and \xff are escapes, and write what comes back to stdout
//	[!] differ A B                     compare two words
//	holds FILE WANT                    wait until FILE has what WANT has, in which variables are replaced
func scriptCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"start":       start,
		"await":       await,
		"type":        typeKeys,
		"unechoed":    unechoed,
		"pid":         pid,
		"signal":      sendSignal,
		"ended":       ended,
		"reap":        reap,
		"fails":       fails,
		"target":      serveTarget,
		"answering":   answering,
		"gated":       gated,
		"open":        openGate,
		"freeport":    freePort,
		"occupy":      occupy,
		"oldrelay":    oldRelay,
		"front":       front,
		"proxy":       proxy,
		"certificate": certificate,
		"issuer":      issuer,
		"idtoken":     identityToken,
		"decide":      decide,
		"misanswer":   misanswer,
		"get":         get,
		"until":       until,
		"ask":         ask,
		"answered":    answered,
		"load":        load,
		"loaded":      loaded,
		"raw":         raw,
		"differ":      differ,
		"holds":       holds,
	}
}
