// Package engine runs WebSocket connections on gnet event loops: it accepts
// them, reads their opening handshakes and frames, keeps them alive, queues
// what is sent to them and closes them in good order.
//
// It does not know who a client is or what a message means; a Handler decides
// about handshakes and an Endpoint takes the messages.
//
// A connection belongs to one loop. Every method of Conn, Handler and Endpoint
// runs on that loop's goroutine and must not block; other goroutines use
// Loop.Post. DESIGN.md draws the flow.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"sluice/access"
	"sluice/engine/wheel"
	"sluice/frame"
	"sluice/internal/budget"
	"sluice/internal/metrics"
)

// Engine is a set of event loops and the listeners that feed them.
type Engine struct {
	// static after New
	cfg     Config
	metrics *metrics.Node
	log     *slog.Logger
	journal *journal
	loops   []*Loop
	http    *httpListener
	started time.Time

	forwarded string // the header in which proxies tell the client; "" for none

	handler Handler       // static after Start
	guard   *access.Guard // static after Protect; nil for none

	// of those who are not let in yet; see entrance.go
	greetings     context.Context // ends when they must go
	stopGreetings context.CancelFunc
	left          chan struct{}     // of one: a pending handshake has ended, and somebody waits for that
	greeted       chan struct{}     // holds an item for each of them
	computing     chan struct{}     // holds an item for each that computes
	tlsHandshakes *metrics.Recorder // static

	// used by one goroutine: Start, Accept, Shutdown
	listeners  []net.Listener
	acceptors  sync.WaitGroup
	takers     sync.WaitGroup // Loop.takeIn
	greeters   sync.WaitGroup // Engine.greet
	stopping   chan struct{}
	stopTakers chan struct{}
	stopTicker chan struct{}
	tickerDone chan struct{}

	// atomic
	connections atomic.Int64           // upgraded and open or closing
	pending     atomic.Int64           // sockets that are not upgraded
	awaiting    atomic.Int32           // acceptors that wait for one of them to leave
	waiting     atomic.Int64           // of them, those whose handshakes wait to be judged
	secured     atomic.Int64           // sockets on the loops that speak TLS
	queued      *budget.Budget         // bytes in all backlogs
	slow        atomic.Int64           // connections that count as slow consumers
	acceptBurst atomic.Int64           // accept errors of the burst under way
	acceptError atomic.Int64           // when the last one was, in nanoseconds since started
	overload    atomic.Pointer[string] // label under which new clients are refused; nil while none are
	drainUntil  atomic.Uint32          // tick at which the drain ends; 0 while none runs
	draining    atomic.Bool
}

// New makes an engine; nothing runs before Start. The configuration must be
// valid (Config.Validate).
func New(cfg Config, m *metrics.Node, log *slog.Logger) *Engine {
	e := &Engine{
		cfg:        cfg.withDefaults(fdLimit()),
		metrics:    m,
		log:        log,
		started:    time.Now(),
		stopping:   make(chan struct{}),
		stopTakers: make(chan struct{}),
		stopTicker: make(chan struct{}),
		tickerDone: make(chan struct{}),
	}
	e.queued = budget.New(e.cfg.MaxNodeQueueBytes)
	e.greetings, e.stopGreetings = context.WithCancel(context.Background())
	e.tlsHandshakes = m.TLSHandshakeDuration.Recorder()
	e.forwarded = e.cfg.Proxy.canonicalHeader()
	e.left = make(chan struct{}, 1)
	e.greeted = make(chan struct{}, e.cfg.Handshakes.Max)
	e.computing = make(chan struct{}, e.cfg.Handshakes.Workers)
	e.http = newHTTPListener(e.cfg.MaxHTTPConnections)
	e.journal = newJournal(log, m, e.cfg.LogLinesPerSecond)
	for i := range e.cfg.Loops {
		l := &Loop{
			engine: e,
			index:  i,
			log:    log.With("loop", i),
			wheel:  wheel.New[Conn](wheelSlots, e.clock()),
			now:    e.clock(),
			codec: frame.NewCodec(frame.Config{
				MaxMessageSize: e.cfg.MaxMessageSize,
				Deflate:        e.cfg.Compression,
			}),
			inbox:      inbox{limit: e.cfg.InboxTasks},
			series:     new(series),
			handshakes: m.HandshakeDuration.Recorder(),
			lag:        m.LoopLag.Recorder(),
			latency:    m.DeliveryLatency.Recorder(),
			arrivals:   make(chan *arrival, maxArriving),
			parked:     make(map[*Conn]*parked),
		}
		l.drain.loop = l
		e.loops = append(e.loops, l)
	}
	return e
}

// fdLimit returns the limit on open files, 0 when it is not known.
func fdLimit() int {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 0
	}
	return int(min(lim.Cur, 1<<30))
}

// Loops returns the event loops; their number and order do not change.
func (e *Engine) Loops() []*Loop { return e.loops }

// Connections returns the number of upgraded connections. Any goroutine.
func (e *Engine) Connections() int { return int(e.connections.Load()) }

// TLSConnections returns the sockets on the loops that speak TLS, upgraded or not.
// Any goroutine.
func (e *Engine) TLSConnections() int { return int(e.secured.Load()) }

// WaitingHandshakes returns the opening handshakes that wait to be judged. Any
// goroutine.
func (e *Engine) WaitingHandshakes() int { return int(e.waiting.Load()) }

// QueuedBytes returns the bytes that wait for slow clients. Any goroutine.
func (e *Engine) QueuedBytes() int { return int(e.queued.Used()) }

// SlowConnections returns the connections that count as slow consumers. Any
// goroutine.
func (e *Engine) SlowConnections() int { return int(e.slow.Load()) }

// Remaining returns the connections that a drain has still to close, 0 while
// none runs. Any goroutine.
func (e *Engine) Remaining() int {
	if !e.draining.Load() {
		return 0
	}
	return e.Connections()
}

// Full tells whether a new client would be refused for lack of place. Any
// goroutine.
func (e *Engine) Full() bool { return e.connections.Load() >= int64(e.cfg.MaxConnections) }

// MaxConnections returns the limit in force. Any goroutine.
func (e *Engine) MaxConnections() int { return e.cfg.MaxConnections }

// Start runs the loops and the clock; h decides about the handshakes.
func (e *Engine) Start(h Handler) error {
	e.handler = h
	for i, l := range e.loops {
		if err := l.start(); err != nil {
			for _, started := range e.loops[:i] {
				err = errors.Join(err, started.stop())
			}
			return err
		}
	}
	for _, l := range e.loops {
		e.takers.Go(l.takeIn)
	}
	go e.tickLoops()
	return nil
}

// Shutdown stops accepting, gives TLS handshakes a last second, answers unfinished
// opening handshakes with 503, closes the connections spread over the window with
// CloseServiceRestart, waits until they are gone and every task has run, and stops
// the loops. Clients that do not
// answer the close are cut off after the close timeout, and all that are left
// when ctx ends, at once. It is called once, after Start.
func (e *Engine) Shutdown(ctx context.Context, window time.Duration) error {
	e.draining.Store(true)
	close(e.stopping)
	var err error
	for _, ln := range e.listeners {
		if cerr := ln.Close(); cerr != nil && !errors.Is(cerr, net.ErrClosed) {
			err = errors.Join(err, fmt.Errorf("engine: close listener: %w", cerr))
		}
	}
	e.acceptors.Wait()
	e.stopGreetings()
	e.greeters.Wait()
	e.drainUntil.Store(uint32(e.clock() + e.ticks(window)))
	e.waitEmpty(ctx)
	e.finishTasks(ctx)
	close(e.stopTicker)
	<-e.tickerDone
	close(e.stopTakers)
	e.takers.Wait()
	for _, l := range e.loops {
		err = errors.Join(err, l.stop())
	}
	for _, l := range e.loops { // no loop sends any more
		l.dropArrivals()
	}
	_ = e.http.Close() // the server may have closed it
	return err
}

// waitEmpty waits until no client is left or ctx ends.
func (e *Engine) waitEmpty(ctx context.Context) {
	t := time.NewTicker(e.cfg.tick)
	defer t.Stop()
	for e.connections.Load()+e.pending.Load() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
