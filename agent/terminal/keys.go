package terminal

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"share/agent"
)

const (
	frameTime = 50 * time.Millisecond // lines are printed and the box is drawn no more often
	mostLines = 200                   // that are printed for one frame: more, nobody reads
	maxFilter = 64                    // characters
	noteTime  = 4 * time.Second       // how long the answer to a key stands
)

// A frame is what has happened since the last.
type frame struct {
	events  []agent.Event
	missed  missed // requests that were too many to be kept
	gauge   agent.Gauge
	tunnels []Tunnel // if there are several
	now     time.Time
	last    bool            // the agent has stopped
	print   chan<- []string // takes texts to print, of several lines each; never full
}

// A model is what the live view knows; bubbletea calls it from one goroutine.
type model struct {
	cfg   *Config
	style style
	board board // of the tunnel; if there are several, of what is all of theirs

	tunnels []*board // of several, in their order

	width, height int
	drawn         int // lines of the last frame

	keys    bool // are heeded
	last    bool // the agent has stopped
	help    bool
	qr      bool
	typing  bool   // a filter
	filter  string // what request lines must hold, in lower case
	paused  bool
	held    []string      // lines that wait until the pause ends, at most mostLines
	unshown int           // requests that have no line
	suspend chan struct{} // takes a token when the process is to be stopped

	note     string // the answer to a key
	noteEnds time.Time
}

func newModel(cfg *Config) *model {
	m := &model{cfg: cfg, style: newStyle(cfg.Renderer, cfg.ASCII), keys: cfg.Keys != nil, qr: cfg.QR, width: 80, height: 24, suspend: make(chan struct{}, 1)}
	m.board.state.target = cfg.Target
	if cfg.Width != nil && cfg.Width() > 0 {
		m.width = cfg.Width()
	}
	return m
}

// Init is tea.Model's. The terminal is in raw mode by then.
func (m *model) Init() tea.Cmd {
	if m.cfg.Keys != nil {
		keepInterrupt(m.cfg.Keys)
	}
	return nil
}

// Update takes in a frame, a key or a new size of the window.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = max(msg.Width, 1), max(msg.Height, 1)
	case frame:
		msg.print <- m.take(msg)
	case tea.KeyPressMsg:
		return m, m.press(msg.Key())
	case tea.PasteMsg:
		if m.typing {
			m.typed(msg.Content)
		}
	}
	return m, nil
}

// View is tea.Model's.
func (m *model) View() tea.View {
	text := m.draw()
	m.drawn = strings.Count(text, "\n")
	if !m.last { // bubbletea erases the last line at its end
		text = strings.TrimSuffix(text, "\n")
	}
	return tea.NewView(text)
}

// take takes a frame in and gives what is to be printed of it.
func (m *model) take(f frame) []string {
	m.board.gauge, m.board.now, m.last = f.gauge, f.now, f.last
	m.bind(f.tunnels)
	var lines []string
	for _, e := range f.events {
		e = m.offerHost(e)
		b := m.boardOf(e)
		news := b.take(e)
		if b != &m.board && e.Kind == agent.EventRequest {
			m.board.counts.add(e)
		}
		request := e.Kind == agent.EventRequest || e.Kind == agent.EventOpen
		switch passes := !request || m.passes(e); {
		case request && passes && len(m.held)+len(lines) >= mostLines:
			if e.Kind == agent.EventRequest {
				m.unshown++
			}
		case request && passes && m.paused && !m.last:
			m.held = append(m.held, b.line(e, &m.style, m.width))
		case passes:
			lines = append(lines, b.lines(e, news, &m.style, m.width)...)
			continue
		}
		lines = append(lines, hintLines(news.hint, e, &m.style, m.width)...)
	}
	for label, c := range f.missed {
		m.boardOf(agent.Event{Tunnel: label, Time: c.begun}).counts.join(c)
		if label == "" {
			m.unshown += int(c.requests)
		}
	}
	if m.paused && !m.last {
		return m.pages(lines)
	}
	if m.held = append(m.held, lines...); m.unshown > 0 {
		more := row{{text: fmt.Sprintf("  + %s more", number(int64(m.unshown))), look: m.style.dim}}
		m.held = append(m.held, more.clip(m.width).String())
	}
	lines, m.held, m.unshown = m.held, nil, 0
	return m.pages(lines)
}

// passes reports whether the filter lets a request's line through.
func (m *model) passes(e agent.Event) bool {
	if m.filter == "" {
		return true
	}
	line := e.Tunnel + " " + e.Method + " " + strconv.Itoa(e.Status) + " " + e.Target
	return strings.Contains(strings.ToLower(line), m.filter)
}

// pages parts lines so that each page fits above the box: bubbletea makes room
// for what it prints by moving the box, which must not leave the window.
func (m *model) pages(lines []string) (pages []string) {
	room := max(m.height-m.boxHeight()-1, 1)
	for len(lines) > 0 {
		n := min(room, len(lines))
		pages = append(pages, strings.Join(lines[:n], "\n"))
		lines = lines[n:]
	}
	return pages
}

// boxHeight is how many lines the box has, now or when it is drawn next.
func (m *model) boxHeight() int { return max(m.drawn, strings.Count(m.draw(), "\n")) }

// press does what a key is for.
func (m *model) press(k tea.Key) tea.Cmd {
	name := k.String()
	if name == "ctrl+c" {
		m.cfg.Interrupt()
		return nil
	}
	if name == "ctrl+z" {
		select {
		case m.suspend <- struct{}{}:
		default:
		}
		return nil
	}
	if m.typing {
		m.edit(name, k.Text)
		return nil
	}
	if !m.has(name) {
		return nil
	}
	switch name {
	case "o":
		m.open()
	case "c":
		return m.copy()
	case "q":
		m.qr, m.help = !m.qr, false
	case "h":
		m.sendOwnHost()
	case "/":
		m.typing = true
	case "p":
		m.paused = !m.paused
	case "?":
		m.help, m.qr = !m.help, false
	case "esc":
		m.help, m.qr, m.filter = false, false, ""
	}
	return nil
}

// edit does what a key is for while a filter is typed.
func (m *model) edit(name, text string) {
	switch name {
	case "enter":
		m.typing = false
	case "esc":
		m.typing, m.filter = false, ""
	case "backspace":
		m.filter = m.filter[:max(len(m.filter)-1, 0)]
	case "ctrl+u":
		m.filter = ""
	default:
		m.typed(text)
	}
}

// typed adds what may stand in a filter: printable ASCII.
func (m *model) typed(text string) {
	if text == "" || escape(text) != text || len(m.filter)+len(text) > maxFilter {
		return
	}
	m.filter += strings.ToLower(text)
}

// url is the one that keys are about, empty if there is none that can be handed
// on.
func (m *model) url() string {
	for _, url := range m.only().state.urls() {
		if linkable(url) {
			return url
		}
	}
	return ""
}

// noURL is the answer to a key that is about the URL.
const noURL = "there is no URL yet"

func (m *model) open() {
	url := m.url()
	if url == "" {
		m.answer(noURL)
		return
	}
	m.answer("opened in the browser")
	if err := m.cfg.Browse(url); err != nil {
		m.answer(err.Error())
	}
}

func (m *model) copy() tea.Cmd {
	url := m.url()
	if url == "" {
		m.answer(noURL)
		return nil
	}
	m.answer("the URL was handed to the terminal's clipboard")
	return tea.SetClipboard(url)
}

// answer shows what a key has done, for a while.
func (m *model) answer(text string) {
	m.note, m.noteEnds = text, m.board.now.Add(noteTime)
}
