package planted

// inRelay are faults of the relay.
func inRelay() []plant {
	return []plant{
		{"END_STREAM on a cut body", []edit{{"relay/edge",
			`s.conn.reset(s, codeInternal, "")`,
			`if s.begun {
		s.endData()
		s.conn.answered(s)
		return
	}
	s.conn.reset(s, codeInternal, "")`,
		}}, []string{"B32", "B34", "B38", "X309"}, true},
		{"the last chunk written after a cut", []edit{{"relay/edge",
			`func (c *conn) abort() {`,
			`func (c *conn) abort() {
	if c.framed {
		_ = c.end(nil)
	}`,
		}}, []string{"B04", "B08", "B11", "C05", "X151"}, true},
		{"a cut chunked upload ended as whole", []edit{{"relay/edge",
			`return tunnel.Fail(tunnel.VisitorGone, err)`,
			`return io.EOF`,
		}}, []string{"E02", "E03", "X512", "X513", "X515"}, true},
		{"a cut HTTP/2 upload ended as whole", []edit{{"relay/edge",
			`return nil, s.failure`,
			`return nil, io.EOF`,
		}, {"relay/edge",
			// Else it overtakes the end.
			`		x.Abort(f)
		c.mu.Lock()`,
			`		c.mu.Lock()`,
		}}, []string{"X516", "X517"}, true},
		{"a spoofed X-Forwarded-For kept", []edit{{"relay/edge",
			`"x-forwarded-for", "x-forwarded-proto",`,
			`"x-forwarded-proto",`,
		}}, []string{"E64", "X631"}, false},
		{"an underscore hides a spoofed field", []edit{{"relay/edge",
			`if http1.LooksLike(name, f) {`,
			`if tunnel.EqualFold(name, f) {`,
		}}, []string{"E64"}, false},
		{"a spoofed trailer kept", []edit{{"relay/edge",
			`return ours(f.Name) })`,
			`return f.Name == nil })`,
		}}, []string{"X637", "X638"}, false},
		{"the loop is not found", []edit{{"relay/edge",
			`if tunnel.EqualFold(f.Name, "via") && bytes.Contains(f.Value, []byte(pseudonym)) {`,
			`if bytes.Equal(f.Name, f.Value) {`,
		}}, []string{"X636"}, false},
		{"a cut without a cause in the log", []edit{{"relay/edge",
			`if f := out.failure; f != nil {`,
			`if f := out.failure; f != nil && !f.AfterHead {`,
		}}, []string{"B01", "B04", "C07"}, false},
		{"an answer held back until more of it comes", []edit{{"relay/edge",
			`if err := v.flush(); err != nil {`,
			`if err := error(nil); err != nil {`,
		}}, []string{"E88", "E90", "X662", "X664"}, false},
		{"a byte of a large body changed", []edit{{"relay/edge",
			`*out = append(*out, p...)`,
			`if len(p) > 4<<10 {
		p[0] ^= 1
	}
	*out = append(*out, p...)`,
		}}, []string{"B17"}, false},
		{"a relay that stops cuts what it carries", []edit{{"relay",
			`context.WithTimeout(ctx, grace)`,
			`context.WithTimeout(ctx, 0*grace)`,
		}}, []string{"D01", "X400"}, false},
		{"a name held by the dead", []edit{{"relay",
			`r.release(s)
	r.quotas.release(&s.token)`,
			`r.quotas.release(&s.token)`,
		}, {"relay/route",
			`old.holder != next.holder && !c.Takeover`,
			`!c.Takeover`,
		}, {"relay/route",
			`err = held.Session.Ping(ask)`,
			`_ = held.Session.Ping(ask)`,
		}}, []string{"C23"}, false},
		{"a name taken from the living", []edit{{"relay/route",
			`err = held.Session.Ping(ask)`,
			`_, err = ask, context.Canceled`,
		}}, []string{"C29"}, false},
		{"an unknown name answered with another's tunnel", []edit{{"relay",
			`return edge.Place{Tunnel: t}
		}
		return edge.Place{}`,
			`return edge.Place{Tunnel: t}
		}
		return edge.Place{Tunnel: r.names.Sole()}`,
		}}, []string{"C01"}, true},
		{"an unread body taken for the next request", []edit{{"relay/edge",
			`if c.close10 || !c.wholeBody.Load()`,
			`if c.close10`,
		}}, []string{"X08"}, false},
		{"chunks for an HTTP/1.0 visitor", []edit{{"relay/edge",
			`c.framed = !c.bodyless && r.ContentLength < 0 && c.http.Minor > 0`,
			`c.framed = !c.bodyless && r.ContentLength < 0`,
		}}, []string{"E18"}, false},
		{"a field named by Connection goes on", []edit{{"tunnel/http1",
			`len(o.named) > 0 && o.names(name)`,
			`len(o.named) > 0 && name == nil`,
		}}, []string{"E60", "X630"}, false},
	}
}
