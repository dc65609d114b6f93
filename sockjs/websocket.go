package sockjs

import (
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"sluice/auth"
	"sluice/engine"
	"sluice/frame"
	"sluice/hub"
	"sluice/internal/budget"
)

// Handler puts SockJS in front of a handler of the engine: the requests below the
// prefix go to net/http, but for WebSockets, which stay on the loops.
type Handler struct {
	engine.Handler
	server *Server
}

var _ engine.HTTPHandler = Handler{}

// Handler returns the engine's handler with SockJS before it. plain knows a raw
// WebSocket under the path /client/hubs/{hub}.
func (s *Server) Handler(plain engine.Handler) Handler { return Handler{plain, s} }

// Serves tells whether a request is one for ServeHTTP.
func (s *Server) Serves(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, s.cfg.Prefix) }

// ServesHTTP claims what is not a WebSocket; see engine.HTTPHandler.
func (h Handler) ServesHTTP(r *http.Request) bool {
	if h.server.Serves(r) {
		return !isUpgrade(r)
	}
	plain, ok := h.Handler.(engine.HTTPHandler)
	return ok && plain.ServesHTTP(r)
}

// isUpgrade tells whether the request wants to become a WebSocket; whether it may
// is the engine's to say.
func isUpgrade(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/websocket") &&
		strings.Contains(strings.ToLower(r.Header.Get("Connection")), "upgrade") &&
		strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// Upgrade decides on one opening handshake; see engine.Handler.
func (h Handler) Upgrade(c *engine.Conn, r *http.Request) (engine.Acceptance, *engine.Refusal) {
	if !h.server.Serves(r) {
		return h.Handler.Upgrade(c, r)
	}
	t, ok := h.server.parse(r.URL.Path)
	if !ok || t.what != "websocket" {
		return engine.Acceptance{}, &engine.Refusal{Status: http.StatusNotFound, Label: "unknown_path",
			Reason: "SockJS clients connect at " + h.server.cfg.Prefix + "{hub}"}
	}
	if t.session == "" { // the raw WebSocket: all that SockJS adds is the path
		plain := *r
		address := *r.URL
		address.Path, address.RawPath = "/client/hubs/"+t.hub, ""
		plain.URL = &address
		return h.Handler.Upgrade(c, &plain)
	}
	a, refusal := h.server.admit(r, t.hub)
	if refusal != nil {
		return engine.Acceptance{}, refusal
	}
	loop, _ := a.Loop.(*engine.Loop)
	name := strings.Clone(auth.CanonicalHub(t.hub))
	return engine.Acceptance{
		Expires: a.Expires,
		Loop:    loop,
		Open: func(c *engine.Conn) (engine.Endpoint, error) {
			w := &socket{server: h.server, hub: name, conn: c}
			c.Write(frame.OpText, []byte(frameOpen))
			var err error
			if w.session, err = a.Open(c.Loop(), w); err != nil {
				return nil, err
			}
			h.server.sockets.add(name, 1)
			return w, nil
		},
	}, nil
}

// offered returns the subprotocols that a client asks for in the query: a SockJS
// client has no other place to say it.
func offered(r *http.Request) []string {
	if p := r.URL.Query().Get("subprotocol"); p != "" {
		return []string{strings.Clone(p)}
	}
	return nil
}

// admit judges whoever wants to open a session. SockJS carries text and nothing
// else, so the binary subprotocols are not for its clients.
func (s *Server) admit(r *http.Request, hub string) (Admission, *engine.Refusal) {
	a, refusal := s.options.Admit(r, hub, offered(r))
	if refusal == nil && a.Subprotocol != "" && !strings.HasPrefix(a.Subprotocol, "json.") {
		return Admission{}, &engine.Refusal{Status: http.StatusBadRequest, Label: "subprotocol",
			Reason: "SockJS carries text: ask for subprotocol=json.sluice.v1, or none for raw messages"}
	}
	return a, refusal
}

// admitPatiently is admit for a goroutine of net/http, which may wait. There are no
// more of them than connections of HTTP, and their clients may go away meanwhile.
func (s *Server) admitPatiently(r *http.Request, hub string) (Admission, *engine.Refusal) {
	return engine.Patiently(s.arrivals, r, s.options.Patience, func(r *http.Request) (Admission, *engine.Refusal) {
		return s.admit(r, hub)
	})
}

// socket is a SockJS WebSocket: the endpoint of a connection of the engine, and the
// hub's link, with the framing of SockJS between them. It belongs to the loop.
type socket struct {
	server  *Server
	hub     string
	conn    *engine.Conn
	session *hub.Session
}

var (
	_ hub.Link         = (*socket)(nil)
	_ hub.Backlog      = (*socket)(nil)
	_ engine.Drainer   = (*socket)(nil)
	_ engine.Budgeted  = (*socket)(nil)
	_ engine.Describer = (*socket)(nil)
)

// Send implements hub.Link. Binary messages cannot be carried. Unlike a plain
// message the framed one is a copy for each client.
func (w *socket) Send(m *frame.Message) bool {
	if m.Op() != frame.OpText {
		return false
	}
	framed := seal(m.Payload())
	framed.Expendable(m.Overflow(), m.Key())
	return w.conn.Send(framed)
}

// Write implements hub.Link.
func (w *socket) Write(op frame.Opcode, payload []byte) bool {
	return op == frame.OpText && w.conn.Send(seal(payload))
}

func seal(payload []byte) *frame.Message {
	const around = len(`a[""]`)
	buf := make([]byte, frame.HeadRoom, frame.HeadRoom+len(payload)+len(payload)/8+around)
	return frame.Seal(frame.OpText, append(appendMessage(buf, true, payload), ']'))
}

// Expire implements hub.Link.
func (w *socket) Expire(at time.Time) { w.conn.Expire(at) }

// QueuedBytes implements hub.Backlog.
func (w *socket) QueuedBytes() int { return w.conn.QueuedBytes() }

// Close implements hub.Link. The client gets code and reason in a frame of
// SockJS; it takes those of the WebSocket where there is none.
func (w *socket) Close(code frame.CloseCode, reason string) {
	w.conn.Write(frame.OpText, appendClose(nil, code, reason))
	w.conn.Close(code, reason)
}

// Message implements engine.Endpoint.
func (w *socket) Message(op frame.Opcode, payload []byte) {
	messages, err := decodeText(payload)
	if op != frame.OpText || err != nil {
		w.conn.Close(codeBrokenFraming, "Broken framing.")
		return
	}
	for _, m := range messages {
		w.session.Receive(true, []byte(m))
	}
}

// codeBrokenFraming ends a WebSocket on which something else than SockJS came.
const codeBrokenFraming frame.CloseCode = 3000

// Closed implements engine.Endpoint.
func (w *socket) Closed() {
	w.server.sockets.add(w.hub, -1)
	if w.session.Lasting() {
		w.session.Left(w, w.conn.Broken())
		return
	}
	w.session.Closed()
}

// Draining implements engine.Drainer.
func (w *socket) Draining(reconnectAfter time.Duration) { w.session.Draining(reconnectAfter) }

// QueueBudget implements engine.Budgeted.
func (w *socket) QueueBudget() *budget.Budget { return w.session.QueueBudget() }

// Describe implements engine.Describer.
func (w *socket) Describe(attrs []slog.Attr) []slog.Attr {
	return append(attrs, slog.String("hub", w.session.Hub()), slog.String("connection", w.session.ID()))
}

// sockets counts the WebSockets by hub, as many of them as exist.
type sockets struct {
	mu   sync.Mutex
	hubs map[string]int // guarded by mu
}

func (w *sockets) add(hub string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hubs == nil {
		w.hubs = make(map[string]int)
	}
	if w.hubs[hub] += n; w.hubs[hub] == 0 {
		delete(w.hubs, hub)
	}
}

func (w *sockets) count(each func(hub string, n int)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for hub, n := range w.hubs {
		each(hub, n)
	}
}
