// Package node wires the parts of one Sluice process together, starts them, and
// stops them in reverse.
package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"sluice/access"
	"sluice/api"
	"sluice/api/login"
	"sluice/auth"
	"sluice/engine"
	"sluice/engine/certs"
	"sluice/gateway"
	"sluice/hub"
	"sluice/internal/config"
	"sluice/internal/logs"
	"sluice/internal/metrics"
	"sluice/internal/overload"
	"sluice/sockjs"
	"sluice/sse"
)

// Node is one running process: listeners, event loops, hubs, operations.
type Node struct {
	cfg    config.Config
	log    *logs.Log
	engine *engine.Engine
	hubs   *hub.Node
	guard  *access.Guard

	listeners []net.Listener // for addresses()
	certs     *certs.Store   // nil where no TLS is spoken
	watcher   sync.WaitGroup // watchCertificates, watchRules, meetIssuers, watchOverload
	issuers   issuers
	opsAddr   net.Addr
	ops       *api.Server
	opsDone   chan error

	public     *api.Server // what is served on the client port beside WebSockets; nil where nothing is
	publicDone chan error
	sockjs     *sockjs.Server // nil where there is none
	sse        *sse.Server    // nil where there is none

	overload *overload.Guard // nil where nothing is watched

	arrivals     context.Context // ends when nobody new is let in over HTTP
	stopArrivals context.CancelFunc

	stopClock chan struct{}
	clockDone chan struct{} // closed when the hubs' clock has stopped

	state atomic.Int32 // readiness; see ready
}

const (
	starting int32 = iota
	serving
	draining
)

// Start opens the listeners and serves. The configuration must have passed
// config.Decode or its Validate methods. The log stays the caller's to close,
// after Stop.
func Start(ctx context.Context, cfg config.Config, log *logs.Log) (*Node, error) {
	cfg = cfg.WithDefaults()
	n := &Node{
		cfg: cfg, log: log, opsDone: make(chan error, 1),
		stopClock: make(chan struct{}), clockDone: make(chan struct{}),
	}
	n.arrivals, n.stopArrivals = context.WithCancel(context.Background())
	m := metrics.New()

	tenants, err := auth.NewTenants(cfg.Auth, cfg.Hub.Tenants())
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	n.trustIssuers(tenants, m)
	cfg.Engine.Handshakes = cfg.TLS.Handshakes
	cfg.Engine.HSTS = cfg.TLS.HSTS
	if len(cfg.TLS.Listen) > 0 {
		if n.certs, err = certs.Open(cfg.TLS.Options(), time.Now()); err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
	}
	cfg.Engine.Proxy = cfg.Proxy
	n.engine = engine.New(cfg.Engine, m, log.Logger)
	if n.guard, err = access.New(cfg.Access, cfg.Hub.AddressRules(), cfg.Proxy.Trusted); err != nil {
		return nil, fmt.Errorf("access: %w", err)
	}
	n.engine.Protect(n.guard)
	n.hubs = hub.New(cfg.Hub, len(n.engine.Loops()))
	n.hubs.Measure(m.FanOut)
	n.hubs.Verify(func(string) hub.Verifier { return tenants })
	gate := gateway.New(gateway.Options{
		Hubs:     n.hubs,
		Tenants:  tenants,
		Guard:    n.guard,
		Cookie:   cfg.Auth.Cookie,
		Compat:   !cfg.DisableCompat,
		EchoPath: cfg.EchoPath,
		LogUsers: cfg.Log.Users,
		API:      cfg.API.Public,
	})
	allowOrigin := func(hub, origin, host string) bool { return tenants.Origins(hub).Allow(origin, host) }
	handler := n.withStreams(n.withSockJS(gate, allowOrigin, m), gate, allowOrigin, m)
	n.overload = n.newOverload(m)
	n.observe(m)

	data := n.dataPlane(tenants, m)
	onOps, aboutNode := data, n.nodeCalls(tenants, m)
	if cfg.API.Disable {
		onOps, aboutNode = nil, nil
	}
	guard, err := login.New(cfg.OpsLogin, login.Options{
		Observe: func(result string) { m.OpsLogins.With(result).Inc() },
		Log:     log.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("ops_login: %w", err)
	}
	pages := api.NewOps(api.Ops{
		Healthy:      n.healthy,
		Ready:        n.ready,
		WriteMetrics: m.WritePrometheus,
		Pprof:        n.cfg.OpsPprof,

		SlowConsumers: n.slowConsumers,
		Data:          onOps,
		Node:          aboutNode,
		Login:         guard,
	})
	if err := n.listen(ctx, m, pages); err != nil {
		return nil, err
	}
	if err := n.engine.Start(handler); err != nil {
		n.closeListeners()
		return nil, err
	}
	for i, ln := range n.listeners {
		n.engine.Accept(ln, n.entrance(i))
	}
	if n.servesPublic() {
		o := n.httpServer("client", n.publicPages(handler, data, m), m)
		o.MaxHeadBytes = n.cfg.Engine.MaxHeadBytes // what a loop has let pass
		o.MaxIdle = max(1, n.engine.MaxHTTPConnections()/2)
		o.Evicted = m.HTTPEvictions.Inc
		n.public, n.publicDone = api.NewServer(o), make(chan error, 1)
		n.engine.Introduce(n.public.Server)
		go func() { n.publicDone <- n.public.Serve(n.engine.HTTPListener()) }()
	}
	go n.tickHubs()
	if n.overload != nil {
		n.watcher.Go(n.watchOverload)
	}
	n.meetIssuers()
	n.watcher.Go(func() { n.watchRules(m) })
	if n.certs != nil {
		n.watcher.Go(func() { n.watchCertificates(m) })
		n.watcher.Go(n.obtainCertificates)
	}
	n.state.Store(serving)
	return n, nil
}

// tickHubs is the clock of the hubs' deadlines.
func (n *Node) tickHubs() {
	defer close(n.clockDone)
	n.every(time.Second, n.hubs.Tick)
}

// every calls f again and again until the node stops.
func (n *Node) every(interval time.Duration, f func()) {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		select {
		case <-n.stopClock:
			return
		case <-t.C:
			f()
		}
	}
}

// dataPlane returns the HTTP API for back ends.
func (n *Node) dataPlane(tenants *auth.Tenants, m *metrics.Node) http.Handler {
	return api.NewData(api.Data{
		Hub: func(name string) (api.Backend, bool) {
			h, ok := n.hubs.Hub(name)
			return h, ok
		},
		Authorize: n.authorizer(tenants, m),
		Revoke: func(hub string, what auth.Revocation, keep time.Duration) error {
			return tenants.Revoke(hub, what, time.Now(), keep)
		},
		Mint: func(c auth.Claims) (string, error) { return tenants.Mint(c, time.Now()) },
		Ticket: func(c auth.Claims, life time.Duration) (string, error) {
			return tenants.IssueTicket(c, life, time.Now())
		},
		Observe:      observeCalls(m),
		AddressRules: n.guard.HubRules,

		Overloaded: n.overloaded,
		MaxBody:    int64(n.cfg.API.MaxBody),

		MaxCallsPerSecond: n.cfg.API.MaxCallsPerSecond,
	})
}

// observeCalls counts the calls of the HTTP API.
func observeCalls(m *metrics.Node) func(operation string, status int, took time.Duration) {
	durations := m.APIDuration.Recorder()
	return func(operation string, status int, took time.Duration) {
		m.APIRequests.With(operation, metrics.StatusClass(status)).Inc()
		durations.Observe(uint64(took))
	}
}

// listen opens every listener, or none: an operator who mistyped one address
// does not get half a node.
func (n *Node) listen(ctx context.Context, m *metrics.Node, pages http.Handler) error {
	ops, err := net.Listen("tcp", n.cfg.Ops)
	if err != nil {
		return fmt.Errorf("operations: listen on %s: %w", n.cfg.Ops, err)
	}
	for _, addr := range n.addresses() {
		ln, err := engine.Listen(ctx, addr)
		if err != nil {
			ops.Close()
			n.closeListeners()
			return err
		}
		n.listeners = append(n.listeners, ln)
	}
	n.opsAddr = ops.Addr()
	n.ops = api.NewServer(n.httpServer("operations", pages, m))
	go func() { n.opsDone <- n.ops.Serve(ops) }()
	return nil
}

// httpServer returns what the servers of both listeners have in common.
func (n *Node) httpServer(listener string, h http.Handler, m *metrics.Node) api.ServerOptions {
	return api.ServerOptions{
		Handler:        h,
		RequestTimeout: n.cfg.API.RequestTimeout,
		HSTS:           n.cfg.TLS.HSTS,
		Answered:       func(status int) { m.HTTPAnswers.With(listener, metrics.HTTPStatus(status)).Inc() },
		Panicked:       m.Panics.Inc,
		Log:            n.log.Logger,
	}
}

func (n *Node) slowConsumers(ctx context.Context, most int) []api.SlowConsumer {
	worst := n.engine.SlowConsumers(ctx, most)
	list := make([]api.SlowConsumer, len(worst))
	for i, w := range worst {
		about := make(map[string]string, len(w.Endpoint))
		for _, a := range w.Endpoint {
			about[a.Key] = a.Value.String()
		}
		list[i] = api.SlowConsumer{Remote: w.Remote, QueuedBytes: w.QueuedBytes, AgeSeconds: w.Age.Seconds(), About: about}
	}
	return list
}

func (n *Node) closeListeners() {
	for _, ln := range n.listeners {
		ln.Close()
	}
	if n.ops != nil {
		n.ops.Close()
		<-n.opsDone
	}
}

// Addrs returns the addresses clients connect to, in the order of the
// configuration.
func (n *Node) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(n.listeners))
	for i, ln := range n.listeners {
		addrs[i] = ln.Addr()
	}
	return addrs
}

// OpsAddr returns the address of the operations listener.
func (n *Node) OpsAddr() net.Addr { return n.opsAddr }

// MaxConnections returns the number of clients the node takes.
func (n *Node) MaxConnections() int { return n.engine.MaxConnections() }

// stuckAfter is how long an event loop may be away before the process counts as
// broken: far longer than any work of a turn, so that load alone never does it.
const stuckAfter = 10 * time.Second

// Alive tells whether the event loops go round.
func (n *Node) Alive() bool {
	return n.state.Load() == starting || n.engine.Responsive(stuckAfter)
}

func (n *Node) healthy() (ok bool, why string) {
	if !n.Alive() {
		return false, "an event loop is stuck"
	}
	return true, ""
}

// ready tells whether new clients should be sent here, and why not.
func (n *Node) ready() (ok bool, why string) {
	switch {
	case n.state.Load() == starting:
		return false, "starting"
	case n.state.Load() == draining:
		return false, "draining"
	case n.engine.Full():
		return false, "full"
	case n.overloaded():
		return false, "overloaded"
	}
	return true, ""
}

// Stop drains: not ready, and for the grace still open to new clients; then no
// new ones, connections closed spread over the window, and everything stopped
// in the reverse of its start. ctx cuts it short.
func (n *Node) Stop(ctx context.Context) error {
	n.state.Store(draining)
	grace, window := n.cfg.Drain.Grace, n.cfg.Drain.Window
	n.log.Info("draining", "connections", n.engine.Connections(), "grace", grace, "window", window)
	select {
	case <-ctx.Done():
	case <-time.After(grace):
	}
	drain, cancel := context.WithTimeout(ctx, window+config.SlowClients)
	defer cancel()
	begun := time.Now()
	n.drainHTTP(drain, window/2) // while the loops go round
	err := n.engine.Shutdown(drain, max(window-time.Since(begun), time.Millisecond))
	n.closeHTTP()
	close(n.stopClock)
	<-n.clockDone
	n.watcher.Wait()
	if n.public != nil {
		if serr := n.public.Shutdown(drain); serr != nil {
			err = errors.Join(err, n.public.Close())
		}
		if serr := <-n.publicDone; !errors.Is(serr, http.ErrServerClosed) && !errors.Is(serr, net.ErrClosed) {
			err = errors.Join(err, serr)
		}
	}
	if serr := n.ops.Shutdown(drain); serr != nil {
		err = errors.Join(err, n.ops.Close())
	}
	if serr := <-n.opsDone; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	n.log.Info("stopped", "connections", n.engine.Connections())
	return err
}
