package planted

// listed are the faults that others' tunnels have been seen to have, and that
// the contract is written against.
func listed() []plant {
	return []plant{
		{"END sent on a cut body", []edit{{"agent/target",
			`func (f *flight) cut(err error, passed int64) *tunnel.Failure {`,
			`func (f *flight) cut(err error, passed int64) *tunnel.Failure {
	if f.resp.ContentLength < 0 {
		return nil
	}`,
		}}, []string{"B04", "B05", "B11", "B44", "B34"}, true},
		{"200 on refuse", []edit{{"tunnel",
			`{"target_refused", 502,`,
			`{"target_refused", 200,`,
		}}, []string{"A01", "A02", "A03", "B30"}, true},
		{"EOF taken for END", []edit{{"tunnel",
			`return in.x.streamError(err)`,
			`return io.EOF`,
		}}, []string{"C05", "C08", "C09", "C12", "X303", "X309"}, true},
		{"RST turned into FIN for an HTTP/1.0 visitor", []edit{{"relay/edge",
			`func (c *conn) abort() {`,
			`func (c *conn) abort() {
	if c.close10 {
		c.keep = false
		c.brittle(false)
		c.nc.Close()
		return
	}`,
		}}, []string{"B44", "X134", "X304", "X673"}, true},
		{"RST turned into FIN in an upgrade", []edit{{"relay/edge",
			`reset(c.raw)
		<-sent`,
			`c.brittle(false)
		c.nc.Close()
		<-sent`,
		}}, []string{"X650", "X651", "C30", "X334"}, false},
		{"RST turned into FIN towards the target", []edit{{"agent/target",
			`func (s *socket) brittle(on bool) {`,
			`func (s *socket) brittle(on bool) {
	on = false`,
		}}, []string{"X524"}, false},
		{"RST turned into FIN by the death of the agent", []edit{{"agent/target",
			`c.sock.brittle(true)`,
			`c.sock.brittle(false)`,
		}}, []string{"X666"}, false},
		{"RST turned into FIN by the death of the relay", []edit{{"relay/edge",
			`if c.close10 {
		c.brittle(true)`,
			`if c.close10 {
		c.brittle(false)`,
		}}, []string{"X406"}, true},
		{"a POST retried", []edit{{"agent/target",
			`return f.upgrade == nil && repeatable(f.req)`,
			`return f.upgrade == nil`,
		}}, []string{"A28", "X55", "X56"}, true},
		{"a POST sent again on a new connection", []edit{{"agent/target",
			`(f.c.reused || f.t.cfg.Hold > 0) && f.repeatable()`,
			`(f.c.reused || f.t.cfg.Hold > 0)`,
		}}, []string{"A09", "X21"}, false},
		{"a request sent again that an agent has processed", []edit{{"relay/edge",
			`if !f.NotProcessed || try == maxTries`,
			`if try == maxTries`,
		}}, []string{"C03", "X315"}, false},
		{"an abort is swallowed, and the stream ended later", []edit{{"relay/edge",
			`s.conn.reset(s, codeInternal, "")`,
			`_ = s`,
		}, {"relay/edge",
			`	if !s.ended {
		c.reset(s, codeInternal, "")`,
			`	if !s.ended && s.begun {
		s.endData()
		c.answered(s)`,
		}}, []string{"B32", "B34", "B38", "X309"}, true},
		{"a 1xx taken for the head by the agent", []edit{{"agent/target",
			`if !f.resp.Interim() {`,
			`if !f.resp.Interim() || f.resp.Status == 103 {`,
		}}, []string{"A22", "X28", "X30"}, false},
		{"a 1xx taken for the head by HTTP/1.1", []edit{{"relay/edge",
			`func (c *conn) interim(r *tunnel.Response) error {`,
			`func (c *conn) interim(r *tunnel.Response) error {
	c.began = true`,
		}}, []string{"X317"}, false},
		{"a 1xx taken for the head by HTTP/2", []edit{{"relay/edge",
			`func (s *stream) interim(r *tunnel.Response) error {`,
			`func (s *stream) interim(r *tunnel.Response) error {
	s.begun = true`,
		}}, []string{"X318"}, false},
		{"a 1xx and a failure become an empty 200", []edit{{"relay/edge",
			`func (s *stream) interim(r *tunnel.Response) error {`,
			`func (s *stream) interim(r *tunnel.Response) error {
	s.informed = true`,
		}, {"relay/edge",
			`func (s *stream) begin(flags uint8) error {`,
			`func (s *stream) begin(flags uint8) error {
	if s.informed && s.pending != nil {
		s.pending = &tunnel.Response{Status: 200}
	}`,
		}, {"relay/edge",
			`func (s *stream) write(p []byte) error {`,
			`func (s *stream) write(p []byte) error {
	if s.informed {
		p = nil
	}`,
		}, {"relay/edge",
			`type stream struct {`,
			`type stream struct {
	informed bool`,
		}}, []string{"X32"}, true},
	}
}
