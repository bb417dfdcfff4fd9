package planted

// inTunnel are faults of the protocol and of its grammar.
func inTunnel() []plant {
	return []plant{
		{"ERROR taken for END", []edit{{"tunnel",
			`if f.Cause != Draining {`,
			`if in.begun {
			in.last, in.expect = true, -1
			return nil
		}
		if f.Cause != Draining {`,
		}}, []string{"B04", "B08", "B11", "B34"}, true},
		{"a body short of its Content-Length ended as whole", []edit{{"agent/target",
			`if f.resp.CloseDelimited && f.ended(err) {`,
			`if !f.resp.Chunked && f.ended(err) {`,
		}, {"tunnel",
			`if out.announce >= 0 && out.sent != out.announce {`,
			`if false {`,
		}, {"tunnel",
			`if in.expect >= 0 && in.received != in.expect {`,
			`if false {`,
		}}, []string{"B01", "B03", "B31"}, false},
		{"the agent does not look at Content-Length", []edit{{"agent/target",
			`if f.resp.CloseDelimited && f.ended(err) {`,
			`if !f.resp.Chunked && f.ended(err) {`,
		}}, []string{"B01", "B03", "B31"}, false},
		{"two different Content-Lengths made one", []edit{{"tunnel/http1",
			`if n != r.ContentLength {`,
			`if false {`,
		}}, []string{"A35"}, true},
		{"Content-Length beside Transfer-Encoding made one", []edit{{"tunnel/http1",
			`case r.Chunked && r.length:`,
			`case false:`,
		}}, []string{"X36"}, true},
		{"a request with both framings made one: TE.CL", []edit{{"tunnel/http1",
			`return bad("Content-Length beside Transfer-Encoding")`,
			`return nil`,
		}}, []string{"X540"}, false},
		{"a request with both framings made one: CL.TE", []edit{{"tunnel/http1",
			`return bad("Transfer-Encoding beside Content-Length")`,
			`r.Chunked, r.ContentLength = true, -1
		return nil`,
		}}, []string{"E20"}, true},
		{"a space before a request's colon cleaned", []edit{{"tunnel/http1",
			`f, wrong := parseField(line)
		if wrong != "" {
			return bad(wrong)`,
			`f, wrong := parseField(closeColon(line))
		if wrong != "" {
			return bad(wrong)`,
		}}, []string{"E22"}, true},
		{"an absolute target of another host accepted", []edit{{"tunnel/http1",
			`if !bytes.Equal(name, r.Name) || effectivePort(port, s) != effectivePort(r.Port, s) {`,
			`if name == nil && port == 0 {`,
		}}, []string{"E46"}, false},
		{"a draining tunnel answers 200", []edit{{"tunnel",
			`{"draining", 503,`,
			`{"draining", 200,`,
		}}, []string{"X340", "X401"}, true},
		{"a failure may be cached", []edit{{"tunnel",
			`h.Add("Cache-Control", "no-store")`,
			`h.Add("Cache-Control", "max-age=60")`,
		}}, []string{"A01", "A48"}, false},
		{"a failure without its cause", []edit{{"tunnel",
			`h.Add("Share-Error", v.Cause)`,
			``,
		}}, []string{"A01", "C02"}, false},
		{"all causes read alike", []edit{{"tunnel",
			`v.Headline, v.Advice = cause.Headline(v.Target), cause.advice()`,
			`v.Headline, v.Advice = "the target failed", "Look at it."
	v.Cause = "failure"`,
		}}, []string{"A50", "A52"}, false},
	}
}
