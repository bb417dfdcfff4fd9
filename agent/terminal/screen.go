package terminal

import (
	"bytes"
	"io"
	"os"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"

	"share/agent"
)

// A screen is a terminal with a box at its lower end, and lines that scroll away
// above it. Bubbletea moves the cursor and reads the keys.
type screen struct {
	program *tea.Program
	canvas  *canvas
	ended   chan struct{} // closed when the program has
	restore func()        // gives the terminal the modes back that it had before
}

// startScreen takes the terminal over, to show what m knows; quit gives it back.
func startScreen(cfg *Config, m *model) *screen {
	s := &screen{
		canvas:  &canvas{file: cfg.Terminal, drawn: make(chan struct{})},
		ended:   make(chan struct{}),
		restore: func() {},
	}
	var keys io.Reader // without any, bubbletea leaves the terminal's modes alone
	if cfg.Keys != nil {
		keys = cfg.Keys
		if before, err := term.GetState(int(cfg.Keys.Fd())); err == nil {
			s.restore = func() {
				// An error means that the terminal is gone.
				_ = term.Restore(int(cfg.Keys.Fd()), before)
			}
		}
	}
	s.program = tea.NewProgram(m,
		tea.WithInput(keys),
		tea.WithOutput(s.canvas),
		tea.WithEnvironment([]string{"TERM=" + cfg.Term}),
		tea.WithColorProfile(colorprofile.ANSI), // that of the Renderer's looks, or none
		tea.WithFPS(int(time.Second/frameTime)),
		tea.WithoutSignalHandler(), // the process has its own
	)
	go func() { // quit waits for it
		// Its error is that the terminal cannot be used: whoever sees it ended too
		// early shows events in another way.
		_, _ = s.program.Run()
		close(s.ended)
	}()
	return s
}

// show shows a frame, and what is to be printed of it. It reports whether it
// could; it blocks for as long as the terminal does.
func (s *screen) show(f frame) bool {
	pages := make(chan []string, 1)
	f.print = pages
	s.program.Send(f)
	select {
	case <-s.ended:
		return false
	case <-s.canvas.drawn:
	}
	select {
	case <-s.ended:
		return false
	case text := <-pages:
		for _, page := range text {
			s.program.Send(tea.Println(page)())
		}
		return true
	}
}

// quit leaves the last frame where it is and gives the terminal back.
func (s *screen) quit() {
	s.program.Quit()
	<-s.ended
}

// A canvas is a terminal as bubbletea sees it. It is asked nothing: an answer that
// comes late would be typed into the user's shell. Its keyboard is left as it is:
// a process that is killed cannot set it back.
type canvas struct {
	file  *os.File
	once  sync.Once
	drawn chan struct{} // closed when the first frame is; before, bubbletea does not know where it is
}

func (c *canvas) Write(p []byte) (int, error) {
	text := p
	for _, unwanted := range [...]string{
		ansi.RequestModeSynchronizedOutput, ansi.RequestModeUnicodeCore, ansi.RequestKittyKeyboard,
		ansi.SetModifyOtherKeys2, ansi.ResetModifyOtherKeys, ansi.PushKittyKeyboard(ansi.KittyDisambiguateEscapeCodes), ansi.PopKittyKeyboard(1),
	} {
		text = bytes.ReplaceAll(text, []byte(unwanted), nil)
	}
	if len(text) > 0 {
		if _, err := c.file.Write(text); err != nil {
			return 0, err
		}
	}
	if bytes.Contains(text, []byte(ansi.ResetModeTextCursorEnable)) { // comes with the first frame
		c.once.Do(func() { close(c.drawn) })
	}
	return len(p), nil
}

// Read, Close and Fd make a canvas a terminal for bubbletea, which asks for its
// size.
func (c *canvas) Read([]byte) (int, error) { return 0, io.EOF }
func (c *canvas) Close() error             { return nil }
func (c *canvas) Fd() uintptr              { return c.file.Fd() }

// interact shows events on a screen until finish, and reports whether it has
// shown them all; if not, the terminal cannot be used that way. While the process
// is in the background the terminal is another's: there are blocks between lines.
func (v *View) interact() bool {
	var m *model
	var s *screen // nil in the background, and as long as m is
	var ended, asked chan struct{}
	second := time.NewTicker(time.Second) // there are ages and times in the box
	defer second.Stop()
	continued, stop := continued()
	defer stop()
	start := func() {
		s = startScreen(&v.cfg, m)
		ended = s.ended
		v.setRestore(s.restore)
	}
	enter := func() {
		if foreground(v.cfg.Terminal) {
			start()
		}
	}
	leave := func() { // others write below the box: it stays where it is
		s.quit()
		s, ended = nil, nil
		v.setRestore(nil)
	}
	for {
		select {
		case <-v.wake:
		case <-second.C:
			if m == nil {
				continue
			}
			if s == nil {
				enter()
			}
		case <-continued:
			// To leave sets modes if there are keys, for which a process in the
			// background is stopped again. If there are none, it may be the command that
			// is in the foreground.
			if s == nil || v.cfg.Keys != nil && !foreground(v.cfg.Terminal) {
				continue
			}
			leave()
			start()
		case <-asked:
			leave()
			suspend(continued)
			enter()
		case <-ended:
			return false
		}
		b := v.take()
		b.tellLost(s != nil)
		// Blocks take over where the box ends, so they know what was before.
		var out output
		for _, e := range b.events {
			if s == nil || e.Kind != agent.EventRequest {
				v.show(&out, e)
			}
		}
		if m == nil && !b.closed { // else there never was a tunnel
			m = newModel(&v.cfg)
			asked = m.suspend
			enter()
		}
		f := frame{events: b.events, missed: b.missed, now: time.Now(), last: b.closed}
		if v.cfg.Gauge != nil {
			f.gauge = v.cfg.Gauge()
		}
		if v.cfg.Tunnels != nil {
			f.tunnels = v.cfg.Tunnels()
		}
		switch {
		case s == nil:
			v.flush(&out)
			if m != nil {
				m.take(f) // for its counts
			}
		case !s.show(f):
			v.flush(&out)
			b.shown()
			return b.closed
		}
		b.shown()
		if b.closed {
			if s != nil {
				s.quit()
				v.flush(v.parting(b.events))
			}
			return true
		}
		select {
		case <-time.After(frameTime):
		case <-v.ending:
		}
	}
}

// parting gives the lines that stand below the last frame.
func (v *View) parting(events []agent.Event) *output {
	var out output
	style := newStyle(v.cfg.Renderer, v.cfg.ASCII)
	for _, e := range events {
		if e.Kind == agent.EventError || e.Kind == agent.EventStopped {
			out.stderr = append(out.stderr, eventLine(e, &state{}, &style, "")...)
		}
	}
	return &out
}
