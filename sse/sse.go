// Package sse serves Server-Sent Events (HTML standard, section 9.2) to clients that
// only receive: EventSource in a browser, curl, or any HTTP client.
//
// A stream is a link of the hub, like a connection of the engine: it belongs to one
// event loop, which opens and closes it and gives it what comes, and that waits,
// bounded, in its outbox. Its request is served by net/http on a goroutine of its
// own, which takes from there and writes to the client in its time. That is a
// goroutine for each stream; how many there may be is bounded here and by
// engine.max_http_connections.
package sse

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sluice/auth"
	"sluice/engine"
	"sluice/hub"
	"sluice/internal/budget"
	"sluice/internal/outbox"
)

// Admission is a yes to a client.
type Admission struct {
	// Expires is when the client's token does; zero for never.
	Expires time.Time
	// Permissions are what it may do with groups.
	Permissions *auth.Permissions
	// Listen makes the link a session of the hub that speaks json.sluice.v1, on the
	// loop. Nil means that the request is not that of a new client.
	Listen func(loop hub.Loop, link hub.Link, l hub.Listening) (*hub.Session, []hub.Recollection, error)
}

// Options are the parts a Server joins.
type Options struct {
	// Loops are those that streams are spread over.
	Loops []hub.Loop
	// Admit judges whoever wants to be a client of a hub. It is called by the
	// goroutine of the request, and may wait.
	Admit func(r *http.Request, hub string) (Admission, *engine.Refusal)
	// Enter counts a stream for the address of its client, until leave is called;
	// the refusal is of a client whose address has too many. Nil counts nothing.
	Enter func(r *http.Request) (leave func(), _ *engine.Refusal)
	// AllowOrigin tells whether pages of an origin may use a hub.
	AllowOrigin func(hub, origin, host string) bool
	// Refused and Dropped count, by reason, clients that were not let in and
	// messages that were lost. Any goroutine; nil counts nothing.
	Refused, Dropped func(reason string)
}

// Server serves streams. It is an http.Handler.
type Server struct {
	// static
	cfg          Config
	options      Options
	queued       *budget.Budget // in the outboxes
	owed         *budget.Budget // of histories that are yet to be told
	writeTimeout time.Duration
	stopped      chan struct{} // closed with Close
	stop         sync.Once
	next         atomic.Uint32 // which loop gets the next stream

	mu       sync.Mutex
	draining bool                 // guarded by mu: no stream is added any more
	streams  map[*stream]struct{} // guarded by mu
}

// writeTimeout is how long a client may not read, beyond what the kernel holds for
// it, before it counts as gone.
const writeTimeout = 30 * time.Second

// New returns a server. The configuration must have passed Validate.
func New(cfg Config, o Options) *Server {
	if o.Refused == nil {
		o.Refused = func(string) {}
	}
	if o.Dropped == nil {
		o.Dropped = func(string) {}
	}
	if o.Enter == nil {
		o.Enter = func(*http.Request) (func(), *engine.Refusal) { return func() {}, nil }
	}
	cfg = cfg.WithDefaults()
	return &Server{
		cfg:          cfg,
		options:      o,
		queued:       budget.New(cfg.MaxNodeQueueBytes),
		owed:         budget.New(cfg.MaxNodeQueueBytes),
		writeTimeout: writeTimeout,
		stopped:      make(chan struct{}),
		streams:      make(map[*stream]struct{}),
	}
}

// Prefix is what the path of a stream begins with; the hub's name follows.
const Prefix = "/sse/hubs/"

// Serves tells whether a request is one for ServeHTTP. It may be called on an event
// loop.
func (s *Server) Serves(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/sse/") }

// create makes a stream, which is not open yet.
func (s *Server) create(name string) (*stream, *engine.Refusal) {
	n := &stream{
		server: s, hubName: auth.CanonicalHub(name),
		loop: s.options.Loops[int(s.next.Add(1))%len(s.options.Loops)],
	}
	n.Outbox = outbox.New(outbox.Options{
		Limit: s.cfg.MaxQueueBytes, Node: s.queued, Dropped: s.options.Dropped, Closed: n.leave,
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.draining:
		return nil, later("draining", "the node is going away")
	case len(s.streams) >= s.cfg.MaxStreams:
		return nil, later("stream_limit", "too many streams")
	}
	s.streams[n] = struct{}{}
	return n, nil
}

// later refuses a client that may come again.
func later(label, reason string) *engine.Refusal {
	return &engine.Refusal{Status: http.StatusServiceUnavailable, Label: label, Reason: reason, RetryAfter: time.Second}
}

func (s *Server) forget(n *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, n)
}

// Streams returns the number of open streams by hub. Any goroutine.
func (s *Server) Streams() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := make(map[string]int)
	for n := range s.streams {
		counts[n.hubName]++
	}
	return counts
}

// QueuedBytes returns what waits in all streams, and what they have yet to tell of
// histories. Any goroutine.
func (s *Server) QueuedBytes() int64 { return s.queued.Used() + s.owed.Used() }

// Drain opens no streams any more, and closes those there are, spread over the
// window, with 1012 and the time after which to come back: up to reconnectAfter,
// another one for each. It returns when all were told, or ctx has ended.
func (s *Server) Drain(ctx context.Context, window, reconnectAfter time.Duration) {
	s.mu.Lock()
	s.draining = true
	leaving := s.allLocked()
	s.mu.Unlock()
	outbox.Spread(ctx, window, leaving, func(n *stream) { n.drain(reconnectAfter) })
}

// Close ends what is left, without a word. The event loops may be gone. The requests
// return soon after.
func (s *Server) Close() {
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()
	s.stop.Do(func() { close(s.stopped) })
}

func (s *Server) allLocked() []*stream {
	all := make([]*stream, 0, len(s.streams))
	for n := range s.streams {
		all = append(all, n)
	}
	return all
}
