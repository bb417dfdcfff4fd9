// Package tunnel is share/1, the protocol between an agent and a relay, and
// what both ends make of a failure.
//
// # Connection
//
// An agent opens a TCP connection to a relay, TLS 1.3 with ALPN "share/1" or,
// over loopback or where both ends allow it, plain. Each end sends a preface;
// then yamux runs over the connection, the agent being its client. A
// connection is a lane; a session is one lane or more.
//
//	preface = "SHR1" byte byte kind flags length JSON
//
// From an agent the two bytes are the lowest and the highest version it
// speaks, from a relay the chosen version and a status: 0 accepted, 1 refused.
// Kind is 1 for a new session, 2 for one more lane of a session, 3 for a look
// at the relay, 4 for a person's login. Flags are 0. Length has four bytes, big endian as every number
// here; the JSON is a Hello, a Welcome or a RejectError, at most 8 KiB with the
// line ends that follow it. The whole takes five seconds at most. An agent may
// send what comes next right behind its preface; the relay reads it once the
// token is accepted, and allocates nothing before.
//
// Where only HTTP passes, the same bytes go through a WebSocket (RFC 6455): an
// agent asks the relay's own host for /.share/connect, with neither Origin,
// which is refused, nor a subprotocol or an extension, over HTTP/1.1. Each end
// sends binary messages of at most 16 KiB and ignores where they begin. A text
// message, a longer one, or more than 100 frames in ten seconds that carry
// nothing end the connection. A close frame is no more than the connection's
// end: what it cuts stays cut. An agent tries it when what answers without one
// is no relay, or when nothing does although a connection was made.
//
// A token is one that the relay has given, or an identity token of an issuer that
// it trusts. It is let in over TLS, over loopback, or where both ends allow it to
// go in plain. Where a front ends TLS, it came over TLS if that front is trusted
// and says so, in X-Forwarded-Proto.
//
// A login takes two connections. Without a token, the relay answers with the Login
// that it offers, if it does; between the two the agent gets an ID token of that
// issuer, by a device code (RFC 8628). With that, the relay answers with a token of
// its own. An ID token may have 7 KiB, and is taken once.
//
// Of yamux's frames only data and window updates are used. A lane whose peer
// sends another, or floods it with frames that carry nothing, is closed; so is
// one whose peer for 25 seconds leaves a frame half sent, reads nothing, or
// accepts no stream.
//
// # Frames
//
// The first stream of a lane, which the agent opens, is the control stream.
// All others are opened by the relay, for exchanges. Both carry frames:
//
//	frame  = flags|type length payload     1 byte, 3 bytes, length bytes
//	flags  = END 0x80, the last frame of this half
//	       | IGN 0x40, to be skipped by who does not know the type
//	string = uvarint length, bytes
//	header = uvarint count, count times: string name, string value
//	size   = uvarint, one more than a body's length; 0 if that is not known
//
// An unknown frame without IGN ends the exchange, or the lane if it is control.
//
//	 1 REQ       relay  uvarint seq, uvarint tunnel, byte flags, size,
//	                    string id, method, target, authority, client, header
//	 2 RESP      agent  uvarint status, byte flags, size, string reason, header
//	 3 INFO      agent  the same, of a 1xx
//	 4 DATA      both   bytes
//	 5 TRAILERS  both   header; always END
//	 6 ERROR     both   uint16 cause, byte flags, string detail; always END
//	 7 STOP      agent  nothing
//	16 BIND      agent  Bind
//	17 BOUND     relay  Bound
//	18 BINDERR   relay  BindError
//	19 UNBIND    both   Unbind
//	20 PING      both   nothing
//	21 PONG      both   nothing
//	22 RESET     both   uint32 stream, uint32 seq, uint16 cause, string detail
//	23 DRAIN     both   Drain
//	24 NOTICE    relay  Notice
//	25 TARGET    agent  TargetHealth
//	26 CREDIT    both   uint32 stream, uint32 seq, uint64 bytes
//
// Where a Go type is named the payload is its JSON. Unknown keys are ignored,
// but for those of BIND, which are answered by BINDERR: a gate must not be
// dropped silently. A cause is a Cause and never 0, a detail has 1 KiB at most.
// 8 to 15 are kept for byte streams that begin without HTTP, and datagrams.
//
// Heads have 96 KiB and 4096 fields at most, control frames 16 KiB. A write to
// a stream is of 16 KiB at most, of 256 where the connection takes as much in 2
// ms: yamux makes a frame of it, which nothing overtakes.
//
// # Exchanges
//
// A stream carries one exchange after the other, seq being one more each time.
//
//	relay  REQ  DATA* END | TRAILERS
//	agent  INFO*  RESP  DATA* END | TRAILERS
//
// Only END ends a half. A half that ends otherwise (ERROR, RESET, the stream's
// or the lane's end) is cut; before RESP that is answered with the failure's
// status, behind it the visitor's connection is cut as well. Each half has as
// many bytes as its head announced, if it did.
//
// An agent whose target cannot answer sends a RESP that it has rendered itself,
// flagged so. ERROR before RESP is for what it cannot answer for; with the flag
// not_processed the target has seen nothing and another try is safe.
//
// REQ with the flag upgrade has no body, and its half stays open. RESP with
// the flag upgrade turns both halves into byte streams: END is a FIN, ERROR and
// RESET are a RST. Otherwise the relay ends its half.
//
// An agent that answers before the request has ended sends STOP before its
// END: the relay then sends no more. RESET, on the control stream, gives up an
// exchange at once; it may overtake what it means, so it names stream and seq.
//
// A stream carries another exchange if both halves ended, without STOP, ERROR
// or upgrade, and under 256 KiB went over it meanwhile. Otherwise both ends
// close it, and read it empty until the other has: the relay at once, an agent
// that has sent ERROR or RESET once the relay has, and else at once as well. An
// agent that keeps a stream open for 30 seconds which the relay gave up loses
// the lane.
//
// # Windows
//
// A half may carry 256 KiB of body, the payload of DATA, and then as many bytes
// in all as the last CREDIT for its exchange says. The reader sends one when half
// of its window was read, or an eighth of a large one. With the first the window
// becomes four times as large; then it doubles, to 64 MiB at most, while half of
// it is read within two round trips, less than one of them is spent on anything
// but waiting for more, and memory is to spare. A round trip is the least time
// from a PING to its PONG. The first frame of an end brings a PING, and each PONG
// the next until eight were measured. Yamux's own windows are opened wide enough
// never to close: 256 MiB. A peer that sends more than it may ends the exchange,
// or the lane.
//
// # Heartbeat and drain
//
// Any byte received is a sign of life. A PING is answered by PONG; more than 100
// at once and 10 a second end the lane, as more than 20,000 frames a second do on
// an agent's control stream. After ten seconds without one an agent
// sends PING, after twelve the relay; after 25 an end closes the lane. A lane
// dies alone; the session ends with the last.
//
// DRAIN says that the sender opens, or takes, nothing new. An agent that drains
// answers each REQ with ERROR, draining, not_processed. The relay closes the
// session when its last exchange has ended; at the deadline the sender cuts
// those that have not, with the cause draining.
package tunnel
