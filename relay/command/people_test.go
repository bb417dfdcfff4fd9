package command

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"share/relay"
	"share/relay/account"
)

func TestParseLogin(t *testing.T) {
	got, err := parseLogin(strings.NewReader("# who\nissuer https://login.example.com\n\n client-id  share \nallow email=*@example.com\nallow groups=CN=dev, OU=x\nscopes openid groups\nscopes email\nclient-secret x\nexpires 7d\n"))
	want := &relay.Login{Issuer: "https://login.example.com", ClientID: "share", Secret: "x", Scopes: []string{"openid", "groups", "email"},
		Allow: account.Allow{"email=*@example.com", "groups=CN=dev, OU=x"}, Lasts: 7 * 24 * time.Hour}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if got, err := parseLogin(strings.NewReader("client-id\tshare\nallow \t groups=a\tb\n")); err != nil || got.ClientID != "share" || got.Allow[0] != "groups=a\tb" {
		t.Errorf("set out with tabs: got %+v, %v", got, err)
	}
	for text, want := range map[string]string{
		"issuer":                   "line 1: want a key and its value",
		"allow a=b\nuser x":        `line 2: there is no key "user": want issuer, client-id,`,
		"client-id a\nclient-id b": "line 2: client-id stands twice",
		"expires soon":             "line 1: expires: want a time such as 90d or 12h",
		"expires 0d":               "line 1: expires: want a time such as 90d or 12h",
		strings.Repeat("allow a=b\n", maxLoginFile/10+1): "more than 65536 bytes",
		"allow a=" + strings.Repeat("x", maxLoginFile):   "more than 65536 bytes",
	} {
		if l, err := parseLogin(strings.NewReader(text)); l != nil || err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.40q: got %+v, %v, want %s", text, l, err, want)
		}
	}
}
