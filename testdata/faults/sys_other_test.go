//go:build !unix

package faults

func (p *process) freeze(r *run) { r.Skip("no process can be frozen here") }

func (p *process) thaw() {}

func (r *run) blackhole() string { r.Skip("no blackhole here"); return "" }

func (p *process) memory() int64 { return 0 }
