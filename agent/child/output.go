package child

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"time"

	"share/tunnel/cmdline"
)

// outputTime bounds what is left to read when a group has ended: a process that
// left the group may hold the program's output open for ever.
const outputTime = 2 * time.Second

// pipes gives cmd a stdout and a stderr, and returns what they are read from.
func pipes(cmd *exec.Cmd) (stdout, stderr *os.File, err error) {
	stdout, w1, err := os.Pipe()
	if err != nil {
		return nil, nil, cmdline.Failed("", err)
	}
	stderr, w2, err := os.Pipe()
	if err != nil {
		stdout.Close()
		w1.Close()
		return nil, nil, cmdline.Failed("", err)
	}
	cmd.Stdout, cmd.Stderr = w1, w2
	return stdout, stderr, nil
}

// output is what reads the streams of a program.
type output struct {
	files   []*os.File
	readers sync.WaitGroup
	ended   chan struct{} // closed when both streams have
	abandon context.CancelFunc
}

func readOutput(cfg *Config, stdout, stderr *os.File) *output {
	ctx, cancel := context.WithCancel(context.Background())
	o := &output{files: []*os.File{stdout, stderr}, ended: make(chan struct{}), abandon: cancel}
	for i, f := range o.files {
		o.readers.Go(func() {
			splitLines(f, cfg.Stdin != nil, func(line string) {
				if cfg.Line != nil && ctx.Err() == nil {
					cfg.Line(ctx, i == 1, line)
				}
			})
		})
	}
	go func() { // close waits for it
		o.readers.Wait()
		close(o.ended)
	}()
	return o
}

// close returns when all is read, or nothing more has come in time.
func (o *output) close() {
	select {
	case <-o.ended:
	case <-time.After(outputTime):
	}
	o.abandon()
	for _, f := range o.files {
		f.Close()
	}
	<-o.ended
}
