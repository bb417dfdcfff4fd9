package control

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"share/agent"
	"share/tunnel/local"
)

const (
	// headTimeout bounds a request's head, which is all that one has.
	headTimeout = 5 * time.Second

	// maxHead bounds that, too.
	maxHead = 8 << 10

	// maxConns bounds those who ask at a time; those who follow the log do that
	// for as long as they like.
	maxConns = 64
)

// Config is what a Server is told of its agent.
type Config struct {
	Places  Places
	Version string // of the program
	Target  string // as the user named it
	Name    string // that was asked for, empty if none was
	Grace   time.Duration
	Log     string // the file with its logs, empty if there is none
	Options any    // what the agent was told, for JSON, without secrets

	// Measure says how the agent does at its relays. If nil, that is not known.
	Measure func(context.Context) agent.Gauge

	// Stop has the agent stop. It returns at once, and may be called again.
	Stop func()

	// Lines returns what appends an event's line to a text, as JSON or as a log.
	Lines func(json bool) func([]byte, agent.Event) []byte
}

// A Server answers those who ask an agent.
type Server struct {
	cfg     Config
	options json.RawMessage
	ln      net.Listener
	path    string
	started time.Time
	record  record
	ring    ring

	ended   chan struct{} // closed when Serve is about to end
	mu      sync.Mutex
	stopped Stopped // guarded by mu
	held    []*held // the tunnels, if there may be several; guarded by mu
}

// Open listens at a socket that only the user can open. Serve, which must follow,
// closes it.
func Open(cfg Config) (*Server, error) {
	options, err := json.Marshal(cfg.Options)
	if err != nil {
		return nil, fmt.Errorf("options: %w", err)
	}
	s := &Server{cfg: cfg, options: options, started: time.Now(), ended: make(chan struct{})}
	if s.ln, s.path, err = cfg.Places.listen(); err != nil {
		return nil, err
	}
	s.record.settle(s.started)
	return s, nil
}

// Note takes what happens to the agent. It never blocks, and is safe for concurrent
// use.
func (s *Server) Note(e agent.Event) {
	if r := s.recordOf(e.Tunnel); r != nil {
		r.note(e)
	}
	s.ring.add(e)
}

// Stopping notes that the agent stops, whoever wants that.
func (s *Server) Stopping() {
	now := time.Now()
	s.record.stop(now)
	for _, h := range s.all() {
		h.record.stop(now)
	}
}

// End notes how the agent has ended. The context of Serve is to end next.
func (s *Server) End(code int, reason string) {
	s.mu.Lock()
	s.stopped = Stopped{code, reason}
	s.mu.Unlock()
	s.Note(agent.Event{Kind: agent.EventStopped, Time: time.Now(), Code: code, Reason: reason})
}

// Serve answers until ctx ends, tells those who wait how the agent has ended, and
// returns after all that it started has ended. Its socket is gone then.
func (s *Server) Serve(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/agent", s.agent)
	mux.HandleFunc("GET /v1/log", s.log)
	mux.HandleFunc("POST /v1/stop", s.stop)
	srv := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: headTimeout,
		IdleTimeout:       headTimeout,
		MaxHeaderBytes:    maxHead,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	return local.Serve(ctx, srv, netutil.LimitListener(s.ln, maxConns), func(context.Context) {
		os.Remove(s.path) // nobody finds it any more
		close(s.ended)
	})
}

// agent answers with a Status.
func (s *Server) agent(w http.ResponseWriter, req *http.Request) {
	status := Status{
		V:       1,
		PID:     os.Getpid(),
		Version: s.cfg.Version,
		Tunnel:  Tunnel{Name: s.cfg.Name, Target: s.cfg.Target},
		Started: s.started,
		Log:     s.cfg.Log,
		GraceMS: s.cfg.Grace.Milliseconds(),
		Config:  s.options,
	}
	var g agent.Gauge
	if s.cfg.Measure != nil {
		g = s.cfg.Measure(req.Context())
	}
	s.record.tell(&status.Tunnel, g)
	s.several(req.Context(), &status)
	w.Header().Set("Content-Type", "application/json")
	// An error is the client's loss, here and below.
	_ = json.NewEncoder(w).Encode(status)
}

// log answers with the last events, and those that come if that is wanted.
func (s *Server) log(w http.ResponseWriter, req *http.Request) {
	query := req.URL.Query()
	line := s.cfg.Lines(query.Get("form") == "json")
	follow := query.Get("follow") == "1"
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	to := http.NewResponseController(w)
	for from, ended := uint64(0), false; ; {
		events, lost, next, more := s.ring.since(from)
		var text []byte
		if lost > 0 && from > 0 {
			text = line(text, agent.Event{Kind: agent.EventWarning, Time: time.Now(),
				Message: fmt.Sprintf("%d events were not shown: the reader is too slow", lost)})
		}
		for _, e := range events {
			text = line(text, e)
		}
		from = next
		if _, err := w.Write(text); err != nil || to.Flush() != nil || !follow || ended {
			return
		}
		select {
		case <-more:
		case <-s.ended:
			ended = true // after what came before that
		case <-req.Context().Done():
			return
		}
	}
}

// stop has the agent stop, and answers when it has.
func (s *Server) stop(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush()
	s.Stopping()
	s.cfg.Stop()
	select {
	case <-s.ended:
	case <-req.Context().Done():
		return
	}
	s.mu.Lock()
	stopped := s.stopped
	s.mu.Unlock()
	_ = json.NewEncoder(w).Encode(stopped)
}
