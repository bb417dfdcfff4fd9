package credential

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"sort"

	"share/agent"
)

// version is that of the file's form.
const version = 1

// A document is what the file has.
type document struct {
	Version int     `json:"version"`
	Default string  `json:"default,omitempty"`
	Logins  []entry `json:"logins"`
}

// An entry is a Login there. Its token is in the keyring if it has none.
type entry struct {
	Relay   string `json:"relay"`
	Account string `json:"account"`
	Token   string `json:"token,omitempty"`
}

// parse reads a file's text; path is what the tokens in it have as their Place. The
// error never repeats the text. It is ErrDamaged, or that a later version of the
// program has written the file.
func parse(text []byte, path string) (*Logins, error) {
	var head struct{ Version int }
	if err := json.Unmarshal(text, &head); err != nil || head.Version < 1 {
		return nil, ErrDamaged
	}
	if head.Version > version {
		return nil, fmt.Errorf("a later version of share has written it")
	}
	var doc document
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&doc); err != nil || decoder.Decode(new(any)) != io.EOF || len(doc.Logins) > maxLogins {
		return nil, ErrDamaged
	}
	logins := &Logins{Default: doc.Default}
	for _, e := range doc.Logins {
		relay, err := agent.ParseRelay(e.Relay, true)
		if _, twice := logins.Find(e.Relay); err != nil || relay.String() != e.Relay || twice || !agent.ValidToken(e.Token) {
			return nil, ErrDamaged
		}
		login := Login{Relay: e.Relay, Account: e.Account, Place: path, token: e.Token}
		if e.Token == "" {
			login.Place = inKeyring
		}
		logins.All = append(logins.All, login)
	}
	if _, ok := logins.Find(logins.Default); !ok && logins.Default != "" {
		return nil, ErrDamaged
	}
	sortLogins(logins)
	return logins, nil
}

// render returns the text that parse reads.
func render(logins *Logins) []byte {
	sortLogins(logins)
	doc := document{Version: version, Default: logins.Default, Logins: []entry{}}
	for _, l := range logins.All {
		doc.Logins = append(doc.Logins, entry{l.Relay, l.Account, l.token})
	}
	text, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil // texts and numbers always marshal
	}
	return append(text, '\n')
}

func sortLogins(logins *Logins) {
	// The compiler writes slices.SortFunc anew for each type of structure.
	sort.Slice(logins.All, func(i, j int) bool { return logins.All[i].Relay < logins.All[j].Relay })
}
