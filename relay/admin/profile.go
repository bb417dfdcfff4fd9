package admin

import (
	"context"
	"net/http"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"time"
)

const (
	// profileTime and traceTime are how long a process is watched that nobody
	// says how long to watch, maxProfile at most.
	profileTime = 30
	traceTime   = 1
	maxProfile  = 60
)

// profile answers with a profile of the process, as go tool pprof reads it, or
// with a trace of it: those that package runtime/pprof names, "profile" for where
// the time goes, and "trace".
func profile(w http.ResponseWriter, req *http.Request) {
	name := req.PathValue("profile")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Type", "application/octet-stream")
	switch name {
	case "profile":
		watch(w, req, profileTime, func() error { return pprof.StartCPUProfile(w) }, pprof.StopCPUProfile)
		return
	case "trace":
		watch(w, req, traceTime, func() error { return trace.Start(w) }, trace.Stop)
		return
	}
	p := pprof.Lookup(name)
	debug, err := number(req, "debug", 0, 0, 2)
	switch {
	case p == nil:
		reply(w, nil, &refusal{http.StatusNotFound, "there is no such profile"})
		return
	case err != nil:
		reply(w, nil, err)
		return
	case debug > 0:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	// An error is the client's loss.
	_ = p.WriteTo(w, debug)
}

// watch has something written for as long as the request says.
func watch(w http.ResponseWriter, req *http.Request, usual int, start func() error, stop func()) {
	seconds, err := number(req, "seconds", usual, 1, maxProfile)
	if err == nil {
		// As for every request.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Duration(seconds)*time.Second + callTimeout))
		if err = start(); err != nil {
			err = &refusal{http.StatusConflict, err.Error()} // another is under way
		}
	}
	if err != nil {
		reply(w, nil, err)
		return
	}
	defer stop()
	ctx, cancel := context.WithTimeout(req.Context(), time.Duration(seconds)*time.Second)
	defer cancel()
	<-ctx.Done()
}

// number reads a whole number of the query.
func number(req *http.Request, name string, usual, least, most int) (int, error) {
	text := req.URL.Query().Get(name)
	if text == "" {
		return usual, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, &refusal{http.StatusBadRequest, "want " + name + " from " + strconv.Itoa(least) + " to " + strconv.Itoa(most)}
	}
	return n, nil
}
