package edge

import (
	"testing"

	"golang.org/x/net/http2/hpack"

	"share/tunnel"
)

// What is sent by its number in the static table is what it stands for there
// (RFC 7541 A).
func TestStaticTable2(t *testing.T) {
	for status := 100; status <= 599; status++ {
		decodesTo(t, appendStatus(nil, status), ":status", string([]byte{byte('0' + status/100), byte('0' + status/10%10), byte('0' + status%10)}))
	}
	for name := range staticNames {
		if len(name) > longestStatic {
			t.Errorf("%s is longer than longestStatic", name)
		}
		decodesTo(t, appendFields(nil, tunnel.Header{{Name: []byte(name), Value: []byte("v")}}), name, "v")
	}
}

// decodesTo checks that a block holds one field.
func decodesTo(t *testing.T, block []byte, name, value string) {
	t.Helper()
	fields, err := hpack.NewDecoder(0, nil).DecodeFull(block)
	if err != nil || len(fields) != 1 || fields[0].Name != name || fields[0].Value != value {
		t.Errorf("got %v, %v; want %s: %s", fields, err, name, value)
	}
}
