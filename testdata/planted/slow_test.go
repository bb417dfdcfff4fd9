package planted

// slow are the faults that the suite finds by waiting.
func slow() []plant {
	return []plant{
		{"a silent link is not found", []edit{{"tunnel",
			`deadAfter = 25 * time.Second`,
			`deadAfter = 250 * time.Second`,
		}}, []string{"C13", "C15", "X321"}, false},
		{"a visitor's leaving is not passed on", []edit{{"relay/edge",
			`x.Abort(tunnel.Fail(tunnel.VisitorGone, c.peeked))`,
			`_ = x`,
		}}, []string{"E05", "X520"}, false},
		{"no bound on the wait for a head", []edit{{"agent/target",
			`if since > 0 && now-time.Duration(since) >= p.headerTimeout`,
			`if since > 0 && now-time.Duration(since) >= 100*p.headerTimeout`,
		}}, []string{"A10", "X10"}, false},
		{"a pause inside a body ends it", []edit{{"agent/target",
			`func (f *flight) fill() error {`,
			`func (f *flight) fill() error {
	_ = f.c.SetReadDeadline(time.Now().Add(5 * time.Second))`,
		}}, []string{"B16"}, false},
	}
}
