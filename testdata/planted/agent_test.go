package planted

// inAgent are faults of the agent.
func inAgent() []plant {
	return []plant{
		{"a missing close_notify taken for the end", []edit{{"agent/target",
			`return err == io.EOF && (c.tls == nil || !c.sock.ended.Load())`,
			`return err == io.EOF`,
		}}, []string{"X643", "X644", "X645"}, true},
		{"a reset stream of an h2c target taken for its end", []edit{{"agent/target",
			`return f.failure(ctx, err, true)`,
			`break`,
		}}, []string{"X150", "X151", "X152", "X157"}, true},
		{"a kept connection's stray bytes answer the next request", []edit{{"agent/target",
			`c.sock.nowait = true`,
			`if c != nil {
		return true
	}
	c.sock.nowait = true`,
		}, {"agent/target",
			// Read ahead of nothing, so that what is stray stays there.
			`f.c.Read(f.buf[f.w:])`,
			`f.c.Read(f.buf[f.w : f.w+1])`,
		}, {"agent/target",
			`f.c.Read(f.buf)`,
			`f.c.Read(f.buf[:1])`,
		}}, []string{"A24", "X52"}, false},
		{"a kept connection is not looked at", []edit{{"agent/target",
			`return n == 0 && err == os.ErrDeadlineExceeded`,
			`return n == 0 && (err == os.ErrDeadlineExceeded || err != nil)`,
		}}, []string{"A29", "X57"}, false},
		{"the target's Share-Error goes on", []edit{{"agent/target",
			`if isShare(f.Name) {`,
			`if false {`,
		}}, []string{"X64", "X635"}, false},
		{"the target's Proxy-Status goes on", []edit{{"agent/target",
			`if f.Value = scrubProxyStatus(f.Value); f.Value == nil {`,
			`if f.Value == nil {`,
		}}, []string{"X64"}, false},
		{"a FIN inside an upgrade ends both directions", []edit{{"agent/target",
			`_ = c.CloseWrite()`,
			`c.sock.reset()`,
		}}, []string{"X652"}, false},
		{"a 101 that nobody asked for goes on", []edit{{"agent/target",
			`if f.upgrade == nil || !http1.Asked(f.upgrade, f.resp.Upgrade) {`,
			`if f.t == nil && !http1.Asked(f.upgrade, f.resp.Upgrade) {`,
		}}, []string{"X33", "X656"}, false},
		{"an agent that stops cuts what it carries", []edit{{"agent",
			`context.WithTimeout(life, grace)`,
			`context.WithTimeout(life, 0*grace)`,
		}}, []string{"C19", "C21"}, false},
		{"an honest empty 200 taken for a failure", []edit{{"agent/target",
			`func (f *flight) finish() *tunnel.Failure {`,
			`func (f *flight) finish() *tunnel.Failure {
	if f.resp.Status == 200 && f.resp.ContentLength == 0 {
		return f.t.fail(tunnel.TargetIncomplete, errUnsent)
	}`,
		}}, []string{"B23", "X220"}, false},
		{"ready without a proof", []edit{{"agent",
			`err := b.prober.verify(ctx, m.URL)`,
			`err := error(nil)`,
		}}, []string{"X336", "X337"}, true},
		{"any answer taken for the proof", []edit{{"agent",
			`|| resp.Header.Get(probeField) != nonce {`,
			`{`,
		}}, []string{"X337"}, true},
		{"brief errors show the target", []edit{{"tunnel",
			`case RevealBrief:
		return false`,
			`case RevealBrief:
		return true`,
		}}, []string{"X63"}, false},
	}
}
