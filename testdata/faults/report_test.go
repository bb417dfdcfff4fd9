package faults

import (
	"fmt"
	"sync"
	"testing"
)

// A report counts the cases, and what must never be among them.
type report struct {
	mu     sync.Mutex
	cases  int      // guarded by mu
	failed int      // guarded by mu
	lies   []string // guarded by mu; failures that looked like successes
	hangs  []string // guarded by mu; no end within the bound
}

// ended counts a case.
func (p *report) ended(t *testing.T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cases++
	if t.Failed() {
		p.failed++
	}
}

// close writes the closing line, after all cases.
func (p *report) close(t *testing.T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.Logf("%d cases, %d failed, %d lies, %d hangs", p.cases, p.failed, len(p.lies), len(p.hangs))
	for _, s := range p.lies {
		t.Errorf("lie: %s", s)
	}
	for _, s := range p.hangs {
		t.Errorf("hang: %s", s)
	}
}

// lie fails the case because a failure was shown as a success.
func (r *run) lie(format string, args ...any) {
	r.Helper()
	r.suite.report.mu.Lock()
	r.suite.report.lies = append(r.suite.report.lies, r.Name()+": "+fmt.Sprintf(format, args...))
	r.suite.report.mu.Unlock()
	r.Errorf("lie: "+format, args...)
}

// hang fails the case because something did not end within its bound.
func (r *run) hang(format string, args ...any) {
	r.Helper()
	r.suite.report.mu.Lock()
	r.suite.report.hangs = append(r.suite.report.hangs, r.Name()+": "+fmt.Sprintf(format, args...))
	r.suite.report.mu.Unlock()
	r.Errorf("hang: "+format, args...)
}
