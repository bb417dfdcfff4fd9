package clients

import (
	"bufio"
	"fmt"
	"io"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
)

// message is an HTTP/1.x message as it stood on the wire: its start line, its
// fields in order with their names as written, its body without the framing.
type message struct {
	start    string
	fields   []string // "Name: value", outer blanks of the value removed
	body     string
	trailers []string
	interim  []message // 1xx responses that came before
	end      string    // how the body's end was known
}

// readMessage reads one message. For a response, method is that of its
// request; for a request it is empty.
func readMessage(r *bufio.Reader, method string) (message, error) {
	var m message
	for {
		var err error
		if m.start, err = readLine(r); err != nil {
			return m, err
		}
		if m.fields, err = readFields(r); err != nil {
			return m, err
		}
		// 1xx: another head follows, but after 101 another protocol does.
		if _, rest, ok := strings.Cut(m.start, " 1"); method == "" || !ok || !strings.HasPrefix(m.start, "HTTP/1.") || strings.HasPrefix(rest, "01") {
			break
		}
		m.interim = append(m.interim, message{start: m.start, fields: m.fields})
	}
	return m, m.readBody(r, method)
}

func (m *message) readBody(r *bufio.Reader, method string) (err error) {
	status := ""
	if parts := strings.SplitN(m.start, " ", 3); method != "" && len(parts) > 1 {
		status = parts[1]
	}
	length, hasLength := m.value("content-length")
	coding, _ := m.value("transfer-encoding")
	switch {
	case method == "HEAD" || status == "204" || status == "304" || status == "101":
		m.end = "none"
	case strings.EqualFold(coding, "chunked"):
		m.end = "chunked"
		err = m.readChunks(r)
	case hasLength:
		m.end = "length"
		n, bad := strconv.Atoi(length)
		if bad != nil {
			return bad
		}
		data := make([]byte, n)
		_, err = io.ReadFull(r, data)
		m.body = string(data)
	case method != "":
		m.end = "close"
		var data []byte
		data, err = io.ReadAll(r)
		m.body = string(data)
	}
	return err
}

func (m *message) readChunks(r *bufio.Reader) error {
	var body strings.Builder
	for {
		line, err := readLine(r)
		if err != nil {
			return err
		}
		size, _, _ := strings.Cut(line, ";")
		n, err := strconv.ParseInt(strings.TrimSpace(size), 16, 64)
		if err != nil {
			return err
		}
		if n == 0 {
			m.body = body.String()
			m.trailers, err = readFields(r)
			return err
		}
		if _, err := io.CopyN(&body, r, n); err != nil {
			return err
		}
		if line, err := readLine(r); err != nil || line != "" {
			return fmt.Errorf("chunk not ended: %q, %v", line, err)
		}
	}
}

// value is that of the first field of a name, given in lower case.
func (m *message) value(name string) (string, bool) {
	for _, f := range m.fields {
		if n, v, _ := strings.Cut(f, ":"); strings.EqualFold(n, name) {
			return strings.TrimSpace(v), true
		}
	}
	return "", false
}

func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

func readFields(r *bufio.Reader) ([]string, error) {
	var fields []string
	for {
		line, err := readLine(r)
		if err != nil || line == "" {
			return fields, err
		}
		name, value, _ := strings.Cut(line, ":")
		fields = append(fields, name+": "+textproto.TrimString(value))
	}
}

// ours are the fields that a tunnel drops, sets or appends to, in lower case;
// the rest must pass as they are. Connection names more of them.
func ours() []string {
	return []string{
		"connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade", "via",
		"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-real-ip", "forwarded",
	}
}

// passed is what a tunnel must not change about the message.
func (m message) passed() string {
	hop := ours()
	if named, ok := m.value("connection"); ok {
		for name := range strings.SplitSeq(named, ",") {
			hop = append(hop, strings.ToLower(strings.TrimSpace(name)))
		}
	}
	var b strings.Builder
	for _, i := range m.interim {
		fmt.Fprintf(&b, "interim %s\n", i.passed())
	}
	start := m.start
	if strings.HasPrefix(start, "HTTP/1.") {
		start = "HTTP/1.x" + start[len("HTTP/1.1"):] // each hop's own version
	} else if i := strings.LastIndex(start, " HTTP/1."); i >= 0 {
		start = start[:i] + " HTTP/1.x"
	}
	fmt.Fprintf(&b, "%q\n", start)
	for _, f := range m.fields {
		name, _, _ := strings.Cut(strings.ToLower(f), ":")
		if !slices.Contains(hop, name) && !strings.HasPrefix(name, "share-") {
			fmt.Fprintf(&b, "%q\n", f)
		}
	}
	fmt.Fprintf(&b, "body of %d bytes: %.200q\n", len(m.body), m.body)
	for _, f := range m.trailers {
		fmt.Fprintf(&b, "trailer %q\n", f)
	}
	return b.String()
}
