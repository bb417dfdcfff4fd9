package clients

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// TestWebSocket echoes messages of many sizes and ends sockets from both
// sides, directly and through the tunnel.
func TestWebSocket(t *testing.T) {
	direct := serve(t, http.HandlerFunc(echoSocket))
	through := tunnel(t, direct.http)
	for name, p := range map[string]place{"direct": direct, "tunnel": through} {
		for _, secure := range []bool{false, true} {
			for _, compression := range []websocket.CompressionMode{websocket.CompressionDisabled, websocket.CompressionContextTakeover} {
				t.Run(fmt.Sprintf("%s/TLS %t/compression %d", name, secure, compression), func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
					defer cancel()
					dial := func() *websocket.Conn {
						client := p.client(t, secure)
						transport := client.Transport.(*http.Transport)
						transport.ForceAttemptHTTP2 = false // 101 is HTTP/1.1's
						transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
						conn, _, err := websocket.Dial(ctx, p.url(secure)+"/echo", &websocket.DialOptions{
							HTTPClient: client, CompressionMode: compression, Subprotocols: []string{"echo"},
						})
						if err != nil {
							t.Fatal(err)
						}
						conn.SetReadLimit(-1)
						t.Cleanup(func() { conn.CloseNow() })
						return conn
					}
					echoes(ctx, t, dial())
					closes(ctx, t, dial)
				})
			}
		}
	}
}

// echoes sends messages of sizes around those at which frames change.
func echoes(ctx context.Context, t *testing.T, conn *websocket.Conn) {
	t.Helper()
	if got := conn.Subprotocol(); got != "echo" {
		t.Errorf("subprotocol %q, want echo", got)
	}
	for _, size := range []int{0, 1, 125, 126, 127, 4096, 65535, 65536, 1 << 20} {
		for _, kind := range []websocket.MessageType{websocket.MessageText, websocket.MessageBinary} {
			want := bytes.Repeat([]byte("x"), size)
			if err := conn.Write(ctx, kind, want); err != nil {
				t.Fatalf("write %d bytes: %v", size, err)
			}
			gotKind, got, err := conn.Read(ctx)
			if err != nil {
				t.Fatalf("read %d bytes: %v", size, err)
			}
			if gotKind != kind || !bytes.Equal(got, want) {
				t.Errorf("%v of %d bytes came back as %v of %d", kind, size, gotKind, len(got))
			}
		}
	}
	alive := conn.CloseRead(ctx)
	if err := conn.Ping(alive); err != nil {
		t.Errorf("ping: %v", err)
	}
	if err := conn.Close(websocket.StatusNormalClosure, "done"); err != nil && !errors.Is(err, io.EOF) {
		t.Logf("close: %v", err)
	}
}

// closes has the target end sockets with codes and reasons, and checks that
// they arrive as they were sent.
func closes(ctx context.Context, t *testing.T, dial func() *websocket.Conn) {
	t.Helper()
	for _, want := range []websocket.CloseError{
		{Code: websocket.StatusNormalClosure, Reason: ""},
		{Code: websocket.StatusGoingAway, Reason: "bye"},
		{Code: websocket.StatusPolicyViolation, Reason: strings.Repeat("r", 123)},
		{Code: 3000, Reason: "ünïcode"},
		{Code: 4999, Reason: "private"},
	} {
		conn := dial()
		if err := conn.Write(ctx, websocket.MessageText, fmt.Appendf(nil, "close %d %s", want.Code, want.Reason)); err != nil {
			t.Fatal(err)
		}
		_, _, err := conn.Read(ctx)
		var got websocket.CloseError
		if !errors.As(err, &got) || got != want {
			t.Errorf("ended with %v, want %v", err, want)
		}
	}
}

// echoSocket sends every message back; "close CODE REASON" ends the socket so.
func echoSocket(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, Subprotocols: []string{"echo"}, CompressionMode: websocket.CompressionContextTakeover,
	})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(-1)
	for {
		kind, data, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		var code websocket.StatusCode
		if n, _ := fmt.Sscanf(string(data), "close %d", &code); n == 1 {
			parts := strings.SplitN(string(data), " ", 3)
			conn.Close(code, parts[2])
			return
		}
		if err := conn.Write(r.Context(), kind, data); err != nil {
			return
		}
	}
}
