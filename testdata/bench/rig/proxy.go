package rig

import (
	"io"
	"net"
	"net/http"
	"sync"
)

// Connect answers a CONNECT (RFC 9110 9.3.6) with a tunnel to addr, and returns
// when one of its ends has closed it. Other methods, and an addr that nothing
// listens on, get a 4xx or 5xx.
func Connect(w http.ResponseWriter, r *http.Request, addr string) {
	if r.Method != http.MethodConnect {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	up, err := net.Dial("tcp", addr)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer up.Close()
	down, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer down.Close()
	io.WriteString(down, "HTTP/1.1 200 OK\r\n\r\n")
	var back sync.WaitGroup
	back.Go(func() {
		io.Copy(up, down)
		up.Close()
	})
	io.Copy(down, up)
	down.Close()
	back.Wait()
}
