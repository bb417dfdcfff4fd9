package http1

import (
	"math/rand/v2"
	"testing"
)

// Pieces of messages, among them what desync attacks are made of.
var (
	lineEnds   = []string{"\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\r\n", "\r\n ", " \r\n", "\x00\r\n"}
	colons     = []string{": ", ": ", ": ", ": ", ":", ":\t", " : ", "\t:", ": \v", ":\f", ":\r\n ", ": ,"}
	names      = []string{"Content-Length", "Transfer-Encoding", "Connection", "Host", "Upgrade", "TE", "Expect", "Trailer", "X", "content-length", "Transfer_Encoding", "Keep-Alive", "Transfer-Encoding\x00", " Content-Length", ""}
	values     = []string{"chunked", "chunked", "5", "5", "0", "05", "+5", "-1", "5, 5", "5,6", "xchunked", "chunked, chunked", "gzip, chunked", "identity", "\"chunked\"", "close", "keep-alive", "upgrade", "websocket, h2c", "100-continue", "trailers", "a", "a:80", "a.", "X", "Content-Length", "", "\xc3\xa9"}
	starts     = []string{"POST / HTTP/1.1", "POST / HTTP/1.1", "GET / HTTP/1.1", "GET / HTTP/1.0", "GET http://a/ HTTP/1.1", "OPTIONS * HTTP/1.1", "GET /a%zz?#b HTTP/1.1", "GET / HTTP/1.9", "GET  / HTTP/1.1", "GET /", "\r\nGET / HTTP/1.1"}
	statuses   = []string{"HTTP/1.1 200 OK", "HTTP/1.1 200 OK", "HTTP/1.1 200", "HTTP/1.0 200 OK", "HTTP/1.1 204 x", "HTTP/1.1 304 x", "HTTP/1.1 101 x", "HTTP/1.1 103 x", "HTTP/1.1 600 x"}
	bodyPieces = []string{"5", "5", "0", "0", "\r\n", "\r\n", "\r\n", "\r\n", "hello", "hello", "\n", "\r", ";", " ;a", " ", "0x5", "A: 1", "GET / HTTP/1.1", "\r\n\r\n", "0\r\n\r\n", "5\r\nhello\r\n"}
)

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

// assemble writes a message that is likely to be nearly right.
func assemble(r *rand.Rand, start string) []byte {
	b := start + pick(r, lineEnds)
	if r.IntN(8) > 0 {
		b += "Host: a\r\n"
	}
	for range r.IntN(4) {
		b += pick(r, names) + pick(r, colons) + pick(r, values) + pick(r, lineEnds)
	}
	b += "\r\n"
	for range r.IntN(8) {
		b += pick(r, bodyPieces)
	}
	return []byte(b)
}

// Whatever is taken of messages made to confuse, net/http reads as the same.
func TestAssembledMessages(t *testing.T) {
	n := 50000
	if testing.Short() {
		n = 5000
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	taken := 0
	for range n {
		q := assemble(r, pick(r, starts))
		checkRequest(t, q)
		checkRequestCuts(t, q)
		if _, _, ok := ourRequest(q); ok {
			taken++
		}
		p := assemble(r, pick(r, statuses))
		method := pick(r, []string{"GET", "HEAD"})
		checkResponse(t, p, method)
		checkResponseCuts(t, p, method)
		if _, _, _, ok := ourResponse(p, method); ok {
			taken++
		}
	}
	if taken < n/50 {
		t.Errorf("only %d of %d messages taken: the test shows little", taken, 2*n)
	}
}
