// Package sockjs lets clients in that cannot open a WebSocket: it speaks SockJS
// 0.3.3 over HTTP and over WebSocket.
//
// A session over HTTP is a link of the hub, like a connection of the engine: it
// belongs to one event loop, on which alone it receives and is opened and closed.
// Its requests are served by net/http; what they bring is posted to that loop, and
// what the loop sends waits, bounded, in the session. A SockJS WebSocket stays on
// the loop altogether.
package sockjs

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sluice/auth"
	"sluice/engine"
	"sluice/frame"
	"sluice/hub"
	"sluice/internal/budget"
	"sluice/internal/outbox"
)

// Admission is a yes to a client.
type Admission struct {
	// Subprotocol names the grammar, as the client has asked for it.
	Subprotocol string
	// Expires is when the client's token does; zero for never.
	Expires time.Time
	// Loop is where the session must live; nil for any loop.
	Loop hub.Loop
	// Open makes the link a session of the hub, on the loop.
	Open func(loop hub.Loop, link hub.Link) (*hub.Session, error)
}

// Options are the parts a Server joins.
type Options struct {
	// Loops are those that sessions are spread over.
	Loops []hub.Loop
	// Admit judges whoever wants to open a session of a hub, in one of the
	// subprotocols that it offers; none is for bare messages. It is called by any
	// goroutine and on the loops, and must not block. Where its refusal has a Later,
	// a client over HTTP waits for that, for Patience at the most, and is judged
	// again; 10 s if that is zero.
	Admit    func(r *http.Request, hub string, offered []string) (Admission, *engine.Refusal)
	Patience time.Duration
	// Enter counts a session for the address of its client, until leave is called;
	// the refusal is of a client whose address has too many. Nil counts nothing.
	Enter func(r *http.Request) (leave func(), _ *engine.Refusal)
	// Guessed is told of a request for a session without its proof; nil for nobody.
	Guessed func(r *http.Request)
	// AllowOrigin tells whether pages of an origin may use a hub.
	AllowOrigin func(hub, origin, host string) bool
	// Cookie is the name of the cookie that may carry the token.
	Cookie string
	// Refused and Dropped count, by reason, clients that were not let in and
	// messages that were lost. Any goroutine; nil counts nothing.
	Refused, Dropped func(reason string)
}

// Server serves SockJS. It is an http.Handler; see [Server.Loops] for what stays
// on the event loops.
type Server struct {
	// static
	cfg     Config
	options Options
	dropped func(reason string)
	queued  *budget.Budget
	stopped chan struct{} // closed with Close

	arrivals     context.Context // ends when nobody new is let in: with Drain, or Close
	stopArrivals context.CancelFunc

	stop     sync.Once
	next     atomic.Uint32 // which loop gets the next session
	draining atomic.Bool

	mu       sync.Mutex
	sessions map[string]*session // guarded by mu; by hub and session id

	sockets sockets
}

// New returns a server. The configuration must have passed Validate.
func New(cfg Config, o Options) *Server {
	if o.Refused == nil {
		o.Refused = func(string) {}
	}
	if o.Dropped == nil {
		o.Dropped = func(string) {}
	}
	if o.Guessed == nil {
		o.Guessed = func(*http.Request) {}
	}
	if o.Enter == nil {
		o.Enter = func(*http.Request) (func(), *engine.Refusal) { return func() {}, nil }
	}
	cfg = cfg.WithDefaults()
	o.Patience = cmp.Or(o.Patience, 10*time.Second)
	arrivals, stopArrivals := context.WithCancel(context.Background())
	return &Server{
		arrivals: arrivals, stopArrivals: stopArrivals,

		cfg:      cfg,
		options:  o,
		dropped:  o.Dropped,
		queued:   budget.New(cfg.MaxNodeQueueBytes),
		stopped:  make(chan struct{}),
		sessions: make(map[string]*session),
	}
}

// proof is what a request must show to be one of a session: the token that it was
// opened with, and the client certificate, if there was one. Session ids are the
// clients' choice, and their guess.
type proof [sha256.Size]byte

func (s *Server) proof(r *http.Request) (p proof) {
	token, _, _ := auth.FromRequest(r.Header, r.URL.RawQuery, s.options.Cookie) // Admit has told what is wrong
	h := sha256.New()
	h.Write([]byte(token))
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		h.Write([]byte{0}) // is in no token
		h.Write(r.TLS.PeerCertificates[0].Raw)
	}
	h.Sum(p[:0])
	return p
}

func (p proof) is(other proof) bool { return subtle.ConstantTimeCompare(p[:], other[:]) == 1 }

// find returns the session that a request belongs to, nil if there is none. To
// whoever does not have its token there is none.
func (s *Server) find(r *http.Request, key string) (*session, bool) {
	s.mu.Lock()
	found := s.sessions[key]
	s.mu.Unlock()
	switch {
	case found == nil:
		return nil, true
	case !found.proof.is(s.proof(r)):
		s.options.Refused("session_denied")
		s.options.Guessed(r)
		return nil, false
	}
	return found, true
}

// create makes the session of a client that was let in, unless another request has
// just done so.
func (s *Server) create(r *http.Request, t target, transport string, a Admission) (*session, *engine.Refusal) {
	loop := a.Loop
	if loop == nil {
		loop = s.options.Loops[int(s.next.Add(1))%len(s.options.Loops)]
	}
	n := &session{
		server: s, key: t.key(), hubName: auth.CanonicalHub(t.hub), transport: transport, proof: s.proof(r), loop: loop,
		attached: true,
	}
	var refusal *engine.Refusal
	if n.left, refusal = s.options.Enter(r); refusal != nil {
		return nil, refusal
	}
	n.Outbox = outbox.New(outbox.Options{
		Limit: s.cfg.MaxQueueBytes, Node: s.queued, Dropped: s.dropped, Closed: func() { n.leave(false) },
	})
	if refusal = s.list(n); refusal != nil {
		n.left()
		return nil, refusal
	}
	if !n.open(a.Open, a.Expires) {
		s.forget(n)
		return nil, &engine.Refusal{Status: http.StatusServiceUnavailable, Label: "session_limit", Reason: "the event loop is overloaded", RetryAfter: time.Second}
	}
	return n, nil
}

// list puts a session on the list, where there is room.
func (s *Server) list(n *session) *engine.Refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch _, exists := s.sessions[n.key]; {
	case s.draining.Load():
		return &engine.Refusal{Status: http.StatusServiceUnavailable, Label: "draining", Reason: "the node is going away", RetryAfter: time.Second}
	case exists:
		return &engine.Refusal{Status: http.StatusConflict, Label: "session_denied", Reason: "the session was just opened"}
	case len(s.sessions) >= s.cfg.MaxSessions:
		return &engine.Refusal{Status: http.StatusServiceUnavailable, Label: "session_limit", Reason: "too many sessions", RetryAfter: time.Second}
	}
	s.sessions[n.key] = n
	return nil
}

// forget takes a session off the list.
func (s *Server) forget(n *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[n.key] == n {
		delete(s.sessions, n.key)
		n.left()
	}
}

// closeOf returns how the hub's error closes a link.
func closeOf(err error) (frame.CloseCode, string) {
	if e, ok := errors.AsType[*frame.Error](err); ok {
		return e.Code, e.Reason
	}
	return frame.CloseInternalError, "internal error"
}

// Population is how many clients of a hub come by one transport.
type Population struct {
	Hub, Transport string
	Sessions       int
}

// Populations returns the clients that are connected, those on WebSockets included.
// Any goroutine.
func (s *Server) Populations() []Population {
	type kind struct{ hub, transport string }
	counts := make(map[kind]int)
	s.mu.Lock()
	for _, n := range s.sessions {
		counts[kind{n.hubName, n.transport}]++
	}
	s.mu.Unlock()
	s.sockets.count(func(hub string, n int) { counts[kind{hub, "sockjs_websocket"}] += n })
	list := make([]Population, 0, len(counts))
	for k, n := range counts {
		list = append(list, Population{k.hub, k.transport, n})
	}
	return list
}

// QueuedBytes returns what waits in all sessions over HTTP. Any goroutine.
func (s *Server) QueuedBytes() int64 { return s.queued.Used() }

// Drain takes no new sessions over HTTP, and closes those there are, spread over
// the window, with 1012 and a word in the client's grammar. It returns when they
// have fetched it, or had the time to.
func (s *Server) Drain(ctx context.Context, window, reconnectAfter time.Duration) {
	s.draining.Store(true)
	s.stopArrivals()
	s.mu.Lock()
	leaving := make([]*session, 0, len(s.sessions))
	for _, n := range s.sessions {
		leaving = append(leaving, n)
	}
	s.mu.Unlock()
	outbox.Spread(ctx, window, leaving, func(n *session) { n.drain(reconnectAfter) })
}

// drain tells the client of one session that the node goes away.
func (s *session) drain(reconnectAfter time.Duration) {
	s.loop.Post(task(func() {
		if s.client != nil {
			s.client.Draining(reconnectAfter)
		}
		s.Close(frame.CloseServiceRestart, "service restart")
	}))
}

// Close ends what is left, without a word. The event loops may be gone.
func (s *Server) Close() {
	s.stopArrivals()
	s.stop.Do(func() { close(s.stopped) })
	s.mu.Lock()
	left := make([]*session, 0, len(s.sessions))
	for _, n := range s.sessions {
		left = append(left, n)
	}
	s.mu.Unlock()
	for _, n := range left {
		n.end()
	}
}

// target is what the path of a request names.
type target struct {
	hub     string
	session string // "" for what belongs to no session
	what    string // the last element: info, xhr, …; "" for the greeting
}

// key is what the session is listed under. The server part of a path is for load
// balancers and is ignored.
func (t target) key() string { return auth.CanonicalHub(t.hub) + "/" + t.session }

// maxSessionID bounds the ids, which clients choose; theirs have 8 characters.
const maxSessionID = 64

// parse takes a path apart; false for one that names nothing.
func (s *Server) parse(path string) (t target, ok bool) {
	rest, ok := strings.CutPrefix(path, s.cfg.Prefix)
	if !ok {
		return t, false
	}
	parts := strings.Split(rest, "/")
	if t.hub = parts[0]; !auth.ValidHub(t.hub) {
		return t, false
	}
	switch parts = parts[1:]; len(parts) {
	case 0:
	case 1:
		t.what = parts[0]
	case 3:
		server, session := parts[0], parts[1]
		if server == "" || session == "" || len(session) > maxSessionID || strings.ContainsAny(server+session, ".") || parts[2] == "" {
			return t, false
		}
		t.session, t.what = session, parts[2]
	default:
		return t, false
	}
	return t, true
}
