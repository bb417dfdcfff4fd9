package tunnel

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for page.html
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed page.html
var pageHTML string

// maxPage bounds a rendered page and its source.
const maxPage = 1 << 20

// view is what a page's template sees. All strings are one line of printable
// ASCII; those that say so may be empty.
type view struct {
	Status    int       // 502
	Reason    string    // Bad Gateway
	Cause     string    // target_refused
	Phrase    string    // the target refused the connection
	Headline  string    // Nothing listens on localhost:8080
	Advice    string    // Start it, or share another port.
	Note      string    // last seen up 12 s ago; may be empty
	Target    string    // localhost:8080; empty where it may not be shown
	By        string    // share-agent or share-relay
	Broken    string    // where it failed: request, relay, agent or target
	Method    string    // GET; may be empty
	URL       string    // what was asked for; may be empty
	RequestID string    // may be empty
	Time      time.Time // when, in UTC
	Polls     bool      // a poll with Share-Health can say when to reload
}

// A step is one place on a request's way, for the page's picture of it.
type step struct {
	Label string // Relay
	Class string // fine, broken, or empty behind the break
	Mark  string
	Says  string // the same for those who hear the page
}

// Way gives the places from the visitor to the target and how far it went.
func (v *view) Way() []step {
	way := []step{{Label: "You"}, {Label: "Relay"}, {Label: "Agent"}, {Label: "Target"}}
	broken := slices.Index([]string{"request", "relay", "agent", "target"}, v.Broken)
	for i := range way {
		switch s := &way[i]; {
		case i < broken:
			s.Class, s.Mark, s.Says = "fine", "✓", "reached"
		case i == broken:
			s.Class, s.Mark, s.Says = "broken", "✕", "failed here"
		default:
			s.Mark, s.Says = "·", "not reached"
		}
	}
	return way
}

// Pages are an owner's pages for failures, one html/template each.
type Pages struct {
	byStatus map[string]*template.Template // "502", "5xx", "error"
}

// ParsePages reads pages from fsys: 502.html (any status from 400 to 599) for
// one status, 4xx.html and 5xx.html for a class, error.html for the rest. Each
// is a template of html/template with the fields Status, Reason, Cause,
// Phrase, Headline, Advice, Note, Target, By, Broken, Way, Method, URL,
// RequestID, Time and Polls. It is executed for every cause that it can be asked to show,
// so that a bad one fails here. A page is served without
// Content-Security-Policy: it is its owner's.
func ParsePages(fsys fs.FS) (*Pages, error) {
	names, err := fs.Glob(fsys, "*.html")
	if err != nil {
		return nil, fmt.Errorf("error pages: %w", err)
	}
	p := &Pages{byStatus: map[string]*template.Template{}}
	for _, name := range names {
		key := strings.TrimSuffix(name, ".html")
		if !pageKey(key) {
			return nil, fmt.Errorf("error pages: %s is no page: want 502.html (a status), 4xx.html, 5xx.html or error.html", printable(name, maxShownNote))
		}
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("error pages: %w", err)
		}
		if len(src) > maxPage {
			return nil, fmt.Errorf("error pages: %s has more than %d bytes", name, maxPage)
		}
		t, err := template.New(name).Option("missingkey=error").Parse(string(src))
		if err != nil {
			return nil, fmt.Errorf("error pages: %w", err)
		}
		p.byStatus[key] = t
	}
	if len(p.byStatus) == 0 {
		return nil, errors.New("error pages: the folder has none of 502.html (a status), 4xx.html, 5xx.html and error.html")
	}
	return p, p.prove()
}

func pageKey(key string) bool {
	if key == "error" || key == "4xx" || key == "5xx" {
		return true
	}
	n, err := strconv.Atoi(key)
	return err == nil && 400 <= n && n <= 599 && len(key) == 3
}

// prove executes each page as every cause would, with all and with as little
// as there can be to show.
func (p *Pages) prove() error {
	used := map[*template.Template]bool{}
	for c := range Cause(len(causes)) {
		if c.Status() != 0 {
			t := p.page(c.Status())
			used[t] = true
			if err := proveWith(t, c); err != nil {
				return err
			}
		}
	}
	for _, t := range p.byStatus {
		if used[t] {
			continue
		}
		if err := proveWith(t, Internal); err != nil {
			return err
		}
	}
	return nil
}

func proveWith(t *template.Template, c Cause) error {
	if t == nil {
		return nil
	}
	least := &view{Status: c.Status(), Reason: "Reason", Cause: c.String(), Phrase: c.Phrase(), Headline: c.Headline(""), Advice: c.advice(), By: Relay.String(), Broken: c.stage(), Time: time.Unix(0, 0).UTC()}
	most := *least
	most.Note, most.Target, most.Method, most.URL, most.RequestID, most.Polls = "last seen up 12 s ago", "localhost:8080", "GET", "http://name.localhost/", "0", true
	for _, v := range []*view{least, &most} {
		if _, err := execute(t, v); err != nil {
			return fmt.Errorf("error pages: %w", err)
		}
	}
	return nil
}

// page gives the page for a status, nil if the owner has none.
func (p *Pages) page(status int) *template.Template {
	for _, key := range []string{strconv.Itoa(status), strconv.Itoa(status/100) + "xx", "error"} {
		if t := p.byStatus[key]; t != nil {
			return t
		}
	}
	return nil
}

// render gives the page for v and the policy to send with it. A page of the
// owner's that fails gives way to the built-in one.
func (p *Pages) render(v *view) (body []byte, policy string) {
	if p != nil {
		if t := p.page(v.Status); t != nil {
			if body, err := execute(t, v); err == nil {
				return body, ""
			}
		}
	}
	b := builtin()
	body, err := execute(b.page, v)
	if err != nil {
		return v.text(), b.policy // a test proves that it never happens
	}
	return body, b.policy
}

// execute runs t within maxPage bytes.
func execute(t *template.Template, v *view) ([]byte, error) {
	var b bounded
	if err := t.Execute(&b, v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// bounded is a buffer that refuses more than maxPage bytes.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxPage {
		return 0, fmt.Errorf("page above %d bytes", maxPage)
	}
	return b.Buffer.Write(p)
}

type builtinPage struct {
	page   *template.Template
	policy string
}

// builtin parses the built-in page on first use: most processes never fail.
// Its policy lets the page's own script and style run, by their digests, lets
// the script ask the page's own origin, and nothing else.
var builtin = sync.OnceValue(func() builtinPage {
	t := template.Must(template.New("page.html").Parse(pageHTML))
	digest := func(element string) string {
		_, rest, _ := strings.Cut(pageHTML, "<"+element+">")
		text, _, _ := strings.Cut(rest, "</"+element+">")
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return builtinPage{t, "default-src 'none'; script-src " + digest("script") + "; style-src " + digest("style") +
		"; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'"}
})
