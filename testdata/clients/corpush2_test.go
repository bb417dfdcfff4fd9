package clients

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"
)

// TestCorpusHTTP2 has HTTP/2 visitors ask for the odd but legal responses:
// they get the status, fields, body and trailers that the target gave, and no
// more. Reasons do not exist there, nor an order across names.
func TestCorpusHTTP2(t *testing.T) {
	target := newRawTarget(t)
	through := tunnel(t, target.addr)
	client := through.client(t, true)
	for _, c := range oddResponses() {
		t.Run(c.name, func(t *testing.T) {
			method, _, _ := strings.Cut(c.request, " ")
			want, err := readMessage(bufio.NewReader(strings.NewReader(c.response)), method)
			if err != nil {
				t.Fatal(err)
			}
			target.answer(c.response)
			if got, want := fetchHTTP2(t, client, method, through.url(true)), want.unordered(); got != want {
				t.Errorf("the visitor saw\n%s\nthe target sent\n%s", got, want)
			}
		})
	}
}

// fetchHTTP2 returns what unordered tells of the answer.
func fetchHTTP2(t *testing.T, client *http.Client, method, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	var m message
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			m.interim = append(m.interim, message{start: fmt.Sprintf("HTTP/2 %d", code), fields: lines(http.Header(h))})
			return nil
		},
	}))
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 {
		t.Fatalf("the answer is %s", resp.Proto)
	}
	body, err := io.ReadAll(resp.Body)
	// net/http's client misses the body that a 304's length tells of.
	if err != nil && resp.StatusCode != http.StatusNotModified {
		t.Fatal(err)
	}
	m.start, m.body = fmt.Sprintf("HTTP/2 %d", resp.StatusCode), string(body)
	m.fields, m.trailers = lines(resp.Header), lines(resp.Trailer)
	return m.unordered()
}

// lines are a header's fields.
func lines(h http.Header) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			all = append(all, name+": "+value)
		}
	}
	return all
}

// unordered is what an HTTP/2 visitor must see of a response: names in lower
// case and in an order of their own.
func (m message) unordered() string {
	var b strings.Builder
	for _, i := range m.interim {
		fmt.Fprintf(&b, "interim %s\n", i.unordered())
	}
	status := strings.Fields(m.start)[1]
	m.start = "status " + status
	byName := func(fields []string) []string {
		all := slices.Clone(fields)
		for i, f := range all {
			name, value, _ := strings.Cut(f, ":")
			all[i] = strings.ToLower(name) + ":" + value
		}
		slices.SortStableFunc(all, func(a, b string) int {
			a, _, _ = strings.Cut(a, ":")
			b, _, _ = strings.Cut(b, ":")
			return strings.Compare(a, b)
		})
		// Trailer is how HTTP/1.1 announces what HTTP/2 sends unannounced.
		return slices.DeleteFunc(all, func(f string) bool { return strings.HasPrefix(f, "trailer:") })
	}
	m.fields, m.trailers = byName(m.fields), byName(m.trailers)
	m.interim = nil
	return b.String() + m.passed()
}
