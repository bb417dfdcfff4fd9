// Package relay takes visitors and agents, and brings them together: Serve
// runs its listeners, the names of the tunnels and the sessions of the agents.
package relay

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"share/relay/admin"
	"share/relay/domain"
	"share/relay/edge"
	"share/relay/handover"
	"share/relay/identity"
	"share/relay/meter"
	"share/relay/route"
	"share/tunnel"
)

// A Relay serves visitors and agents at its doors.
type Relay struct {
	cfg    Config
	domain string // cfg.domain()
	id     string
	log    *slog.Logger
	names  *route.Registry
	edge   *edge.Edge

	meter      *meter.Meter // nil if nobody asks for it
	listed     atomic.Pointer[Tokens]
	windows    tunnel.Budget // of all sessions
	uploads    tunnel.Budget // of all visitors' connections
	budget     budget
	strangers  strangers
	full       rate.Sometimes // says in the log that there is no room
	unanswered rate.Sometimes // says there that somebody is not told so

	tunnels tally  // of all tokens
	quotas  quotas // likewise

	identities identity.Verifier // of agents that show who they are in place of a token
	domains    *domain.Domains   // nil without Accounts

	certificate Certificates   // what visitors are shown at one of the doors, nil if none has one
	shown       []Certificates // at all of them; set by Serve
	public      url.URL        // scheme and host below which names live; set by Serve

	cut    chan struct{} // closed by Cut
	cutter sync.Once
	ready  chan struct{} // closed when public is set
	wg     sync.WaitGroup

	first     bool         // the system, or a container, ends with this process
	replacing atomic.Bool  // another process asks to take this one's place, or has it
	replaced  atomic.Bool  // it has it
	visiting  atomic.Int64 // connections of visitors that edge serves, or is about to

	mu       sync.Mutex
	sessions map[string]*session // guarded by mu; by tunnel.Session's id
	draining bool                // guarded by mu
	stalls   uint64              // guarded by mu; of sessions that have ended
	yielding bool                // guarded by mu; another process takes this one's place
}

// New returns a Relay that Serve runs.
func New(cfg Config) (*Relay, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if cfg.Login != nil && cfg.Accounts == nil {
		return nil, errors.New("people log in for tokens, and the relay keeps none")
	}
	own := cfg.domain()
	names := route.NewRegistry()
	names.Accounts = cfg.Accounts
	var counts *meter.Meter
	if cfg.Remote != nil {
		counts = new(meter.Meter)
	}
	r := &Relay{
		cfg:      cfg,
		meter:    counts,
		domain:   own,
		id:       rand.Text(),
		log:      cfg.logger(),
		first:    os.Getpid() == 1,
		names:    names,
		cut:      make(chan struct{}),
		ready:    make(chan struct{}),
		sessions: make(map[string]*session),
	}
	if cfg.Accounts != nil {
		r.domains = domain.New(domain.Config{Accounts: cfg.Accounts, Names: names, Own: own, Resolver: cfg.Resolver, Logger: cfg.Logger, Problem: r.domainProblem})
	}
	r.identities.Transport = cfg.Issuers
	r.listed.Store(&cfg.Tokens)
	r.limits()
	return r, nil
}

// Cut ends a Serve whose context has ended without further grace.
func (r *Relay) Cut() { r.cutter.Do(func() { close(r.cut) }) }

// SetTokens takes tokens in place of Config.Tokens. Sessions that were let in with
// one that is not among them end. There must be some, if there were.
func (r *Relay) SetTokens(tokens Tokens) {
	r.listed.Store(&tokens)
	r.mu.Lock()
	var over []*session
	for _, s := range r.sessions {
		if s.secret != nil && !tokens.has(*s.secret, s.token.Account) {
			over = append(over, s)
		}
	}
	r.mu.Unlock()
	var wg sync.WaitGroup
	for _, s := range over {
		wg.Go(func() { s.Fail(errRevoked) })
	}
	wg.Wait()
}

// Alive returns when what serves visitors and agents has got on: it would not, if
// it waited for itself.
func (r *Relay) Alive() {
	r.isYielding()
	r.names.Lookup(nil)
}

// pruneEvery is how often names are looked at that nobody holds.
const pruneEvery = time.Hour

// forgetEvery is how often addresses are looked at from which nobody comes.
const forgetEvery = 10 * time.Second

// saveEvery is how often it is written down who has left which name.
const saveEvery = 5 * time.Second

// Serve serves at doors, which it closes, until ctx ends. Then it takes no
// one new, tells the agents, lets open exchanges end within the grace, and
// returns after all it started has ended: nil, or the error of a door, of the
// store of accounts that cannot be read, or of Before. It ends in the same way,
// and returns nil, when another process has taken its place.
func (r *Relay) Serve(ctx context.Context, doors ...Door) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if err := r.begin(ctx); err != nil {
		for _, d := range doors {
			d.Close()
		}
		for _, ln := range []net.Listener{r.cfg.Admin, r.cfg.Remote} {
			if ln != nil {
				ln.Close()
			}
		}
		if r.cfg.DNS != nil {
			r.cfg.DNS.Close()
		}
		return err
	}
	for _, d := range doors {
		if d.Certificate != nil && !d.AgentsOnly {
			r.certificate = d.Certificate
			r.shown = append(r.shown, d.Certificate)
		}
	}
	r.public = r.publicURL(doors)
	close(r.ready)
	sessions, cutSessions := context.WithCancel(context.WithoutCancel(ctx))
	defer cutSessions()
	r.edge = edge.New(r.edgeConfig(sessions))
	r.warn(doors)
	r.certify(ctx, stop, doors) // who waits at a door is shown a certificate
	var accepting sync.WaitGroup
	for _, d := range doors {
		r.log.Info("listening", "door", d.Kind, "addr", d.Addr().String())
		accepting.Go(func() {
			if err := r.accept(ctx, sessions, &d); err != nil {
				stop(fmt.Errorf("accept at %s: %w", d.Addr(), err))
			}
		})
	}
	r.wg.Go(func() { trim(sessions) })
	if r.cfg.Memory > 0 {
		r.wg.Go(func() { r.watchMemory(sessions) })
	}
	if r.cfg.Accounts != nil {
		r.wg.Go(func() { r.sweepTokens(sessions) })
	}
	commands, endCommands := context.WithCancel(sessions)
	defer endCommands()
	if r.cfg.Admin != nil {
		replaceBy := r.replaceBy(ctx, stop)
		r.wg.Go(func() { r.administer(commands, replaceBy) })
	}
	if r.cfg.Serving != nil {
		r.cfg.Serving()
	}
	if r.cfg.Remote != nil {
		r.log.Info("listening", "door", "admin", "addr", r.cfg.Remote.Addr().String())
		r.wg.Go(func() { r.administerRemote(commands) })
	}
	r.look(ctx)
	if r.replaced.Load() {
		endCommands() // they are the other process's
	}
	for _, d := range doors {
		d.Close()
	}
	accepting.Wait()
	r.drain(sessions, r.replaced.Load())
	r.edge.Close()
	cutSessions()
	r.wg.Wait()
	if !r.replaced.Load() {
		r.save(context.WithoutCancel(ctx))
	}
	r.log.Info("stopped")
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && errors.Is(err, errAccept) {
		return err
	}
	return nil
}

// begin reads what the store has and, if there is a process before this one, takes
// its place.
func (r *Relay) begin(ctx context.Context) error {
	if err := r.load(ctx); err != nil {
		return err
	}
	if r.cfg.Before == nil {
		return nil
	}
	held, err := r.cfg.Before.ready(ctx)
	if err != nil {
		return fmt.Errorf("take the place of process %d: %w", r.cfg.Before.PID(), err)
	}
	r.names.Expect(held, agentPatience)
	r.log.Info("took the relay over", "pid", r.cfg.Before.PID(), "names", len(held))
	return nil
}

// load reads what the store of accounts has of names and domains.
func (r *Relay) load(ctx context.Context) error {
	if err := r.names.Load(ctx); err != nil {
		return fmt.Errorf("read names: %w", err)
	}
	if r.domains != nil {
		if err := r.domains.Load(ctx); err != nil {
			return fmt.Errorf("read domains: %w", err)
		}
	}
	return nil
}

// look looks after names until ctx ends.
func (r *Relay) look(ctx context.Context) {
	prune := time.NewTicker(pruneEvery)
	defer prune.Stop()
	save := time.NewTicker(saveEvery)
	defer save.Stop()
	forget := time.NewTicker(forgetEvery)
	defer forget.Stop()
	for {
		select {
		case <-forget.C:
			r.strangers.prune()
		case <-prune.C:
			r.names.Prune()
		case <-save.C:
			r.save(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// save writes down who has left which name.
func (r *Relay) save(ctx context.Context) {
	if err := r.names.Save(ctx); err != nil && ctx.Err() == nil {
		r.log.Error("names cannot be written down", "error", err.Error())
	}
}

// administer serves the operator's commands until ctx ends.
func (r *Relay) administer(ctx context.Context, replaceBy func(func() (*handover.Conn, error)) error) {
	if err := admin.Serve(ctx, r.cfg.Admin, &admin.Relay{Accounts: r.cfg.Accounts, Names: r.names, Domains: r.domains, Replace: replaceBy}); err != nil {
		r.log.Error("the operator's commands are not taken any more", "error", err.Error())
	}
}

// edgeConfig is how visitors are served. Agents among them last until sessions
// does.
func (r *Relay) edgeConfig(sessions context.Context) edge.Config {
	cfg := edge.Config{
		Lookup:         r.lookup,
		Elsewhere:      r.elsewhere,
		Full:           r.budget.memory,
		TrustedProxies: r.cfg.TrustedProxies,
		Logger:         r.cfg.Logger,
		Meter:          r.meter,
		Access:         r.cfg.Access,
		Timing:         r.cfg.ServerTiming,
		Home: "This is a share relay.\n" +
			"Programs that are shared through it live at " + r.public.Scheme + "://NAME." + r.public.Host + "\n",
	}
	if r.cfg.ACME != nil {
		cfg.Proof = r.cfg.ACME.Proof
	}
	if r.cfg.Memory > 0 {
		cfg.Uploads = &r.uploads
	}
	if !r.cfg.Sole {
		cfg.Agent = func(conn net.Conn, secret bool) {
			r.visiting.Add(-1) // it is no visitor any more
			defer r.visiting.Add(1)
			r.serveAgent(sessions, conn, secret, func() {})
		}
	}
	return cfg
}

// warn tells the operator what visitors will stumble over.
func (r *Relay) warn(doors []Door) {
	if r.certificate == nil {
		if r.public.Scheme == "https" && len(r.cfg.TrustedProxies) == 0 {
			r.log.Warn("visitors come by https to a front whose forwarding fields are not believed: targets are told of http",
				"hint", "name the front's addresses with --trusted-proxies")
		}
		return
	}
	domain := r.domain
	for _, host := range []string{domain, "any." + domain} {
		if !r.certificate.Covers(host) {
			r.log.Warn("the certificate does not cover the domain and its wildcard", "host", strings.Replace(host, "any.", "*.", 1))
		}
	}
	r.warnOfDomains()
	r.warnOfProofs(doors)
}
