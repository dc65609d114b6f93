// Package gateway lets WebSocket clients in: it routes an opening handshake to
// a hub, checks origin and token, selects the grammar, and makes the connection
// of the engine a session of the hub.
//
// It is where engine, auth and hub meet, and holds no state of its own. All of
// it runs on the event loops and does not block.
package gateway

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sluice/access"
	"sluice/auth"
	"sluice/engine"
	"sluice/frame"
	"sluice/hub"
	"sluice/hub/wire"
	"sluice/internal/budget"
)

// Gateway answers opening handshakes. It implements engine.Handler.
type Gateway struct {
	hubs     *hub.Node
	tenants  *auth.Tenants
	guard    *access.Guard
	cookie   string
	compat   bool
	echoPath string
	logUsers bool
	api      bool
}

var (
	_ engine.Handler     = (*Gateway)(nil)
	_ engine.HTTPHandler = (*Gateway)(nil)
)

// Options are the parts a Gateway joins.
type Options struct {
	Hubs *hub.Node
	// Tenants says which tokens and pages each hub takes.
	Tenants *auth.Tenants
	// Guard judges the addresses of clients.
	Guard *access.Guard
	// Cookie is the name of the cookie that may carry the token.
	Cookie string
	// Compat offers the names under which published clients know the grammars.
	Compat bool
	// EchoPath, when not empty, is a path on which every message is sent back
	// to its sender, without a token and without a hub.
	EchoPath string
	// API leaves requests below /api/ to an http.Server.
	API bool
	// LogUsers adds the user id to the log lines about a connection.
	LogUsers bool
}

// New joins the parts.
func New(o Options) *Gateway {
	return &Gateway{
		hubs:     o.Hubs,
		tenants:  o.Tenants,
		guard:    o.Guard,
		cookie:   o.Cookie,
		compat:   o.Compat,
		echoPath: o.EchoPath,
		logUsers: o.LogUsers,
		api:      o.API,
	}
}

// ServesHTTP claims the requests for the HTTP API; see engine.HTTPHandler.
func (g *Gateway) ServesHTTP(r *http.Request) bool {
	return g.api && strings.HasPrefix(r.URL.Path, "/api/")
}

// Upgrade decides on one opening handshake; see engine.Handler.
func (g *Gateway) Upgrade(_ *engine.Conn, r *http.Request) (engine.Acceptance, *engine.Refusal) {
	if g.echoPath != "" && r.URL.Path == g.echoPath {
		if refusal := g.guard.Handshake(engine.AddressOf(r), ""); refusal != nil {
			return engine.Acceptance{}, engine.TurnedAway(refusal)
		}
		return engine.Acceptance{Open: openEcho}, nil
	}
	name, refusal := route(r.URL)
	if refusal != nil {
		if tooOften := g.guard.Handshake(engine.AddressOf(r), ""); tooOften != nil { // it counts as well
			refusal = engine.TurnedAway(tooOften)
		}
		return engine.Acceptance{}, refusal
	}
	a, refusal := g.Admit(r, name, subprotocols(r.Header))
	if refusal != nil {
		return engine.Acceptance{}, refusal
	}
	loop, _ := a.Loop.(*engine.Loop)
	return engine.Acceptance{
		Subprotocol: a.Subprotocol,
		Expires:     a.Expires,
		Loop:        loop,
		Open: func(c *engine.Conn) (engine.Endpoint, error) {
			s, err := a.Open(c.Loop(), c)
			if err != nil {
				return nil, err
			}
			if s.Lasting() {
				return g.lasting(s, c), nil
			}
			if g.logUsers {
				return knownClient{client{s}}, nil
			}
			return client{s}, nil
		},
	}, nil
}

// Admission is a yes to a client, whatever it is connected by.
type Admission struct {
	// Subprotocol is the name of the grammar that was selected, as the client
	// offered it; "" for bare messages.
	Subprotocol string
	// Expires is when the client's token does; zero for never.
	Expires time.Time
	// Loop is where the session must live; nil for any loop.
	Loop hub.Loop
	// Open makes the link a session of the hub. It runs on the loop.
	Open func(loop hub.Loop, link hub.Link) (*hub.Session, error)
	// Permissions are what the client may do with groups.
	Permissions *auth.Permissions
	// Listen is Open for a client that only receives; nil for one that comes back
	// to its reliable session.
	Listen func(loop hub.Loop, link hub.Link, l hub.Listening) (*hub.Session, []hub.Recollection, error)
}

// Admit judges whoever wants to be a client of a hub, in one of the subprotocols
// that it offers: its origin, its token, what it asks for in the query. It is for
// any goroutine and does not block; a refusal with a Later is one for now, and
// whoever waits for that calls Admit again, with engine.Waited.
func (g *Gateway) Admit(r *http.Request, name string, offered []string) (Admission, *engine.Refusal) {
	client := engine.AddressOf(r)
	judge := g.guard.Handshake
	if engine.HasWaited(r) {
		judge = g.guard.Again
	}
	if refusal := judge(client, name); refusal != nil {
		return Admission{}, engine.TurnedAway(refusal)
	}
	if origins := r.Header["Origin"]; len(origins) > 1 || !g.tenants.Origins(name).Allow(r.Header.Get("Origin"), r.Host) {
		return Admission{}, refused(auth.Refuse(auth.OriginDenied,
			"pages of this origin may not connect; the configuration keys are auth.origins and hub.hubs.NAME.origins"))
	}
	if err := g.tenants.CheckCertificate(certificate(r), name); err != nil {
		return Admission{}, refused(err)
	}
	if back := parseComeback(r.URL, g.compat); back != nil {
		return g.resume(offered, name, back), nil
	}
	id, err := g.identify(r, name)
	if err != nil {
		if auth.IsFailure(err) {
			g.guard.Failed(client)
		}
		return Admission{}, refused(err)
	}
	// Only now: whether a hub exists is nobody's business without a token.
	h, ok := g.hubs.Hub(name)
	if !ok {
		return Admission{}, &engine.Refusal{Status: http.StatusNotFound, Label: "unknown_hub",
			Reason: "there is no such hub"}
	}
	pipe, refusal := parseMode(r.URL, g.compat)
	if refusal != nil {
		return Admission{}, refusal
	}
	grammar, subprotocol, ok := wire.Select(offered, g.compat)
	if !ok {
		return Admission{}, &engine.Refusal{Status: http.StatusBadRequest, Label: "subprotocol",
			Reason: "offer the subprotocol json.sluice.v1, or another one that docs/protocol.md lists, in Sec-WebSocket-Protocol; or none for raw messages"}
	}
	return Admission{
		Subprotocol: subprotocol,
		Expires:     id.Expires,
		Open: func(loop hub.Loop, link hub.Link) (s *hub.Session, err error) {
			if pipe != nil && grammar.Name() == "" {
				s, err = h.OpenRaw(loop, link, id, grammar, *pipe)
			} else {
				s, err = h.Open(loop, link, id, grammar)
			}
			g.judgeAgain(s, name, &id)
			return s, err
		},
		Permissions: id.Permissions,
		Listen: func(loop hub.Loop, link hub.Link, l hub.Listening) (*hub.Session, []hub.Recollection, error) {
			s, past, err := h.OpenListener(loop, link, id, grammar, l)
			g.judgeAgain(s, name, &id)
			return s, past, err
		},
	}, nil
}

// judgeAgain closes a session, if there is one, whose token was revoked since it was
// judged, which other goroutines do. Now that the hub knows the session, whoever
// revokes later finds it there.
func (g *Gateway) judgeAgain(s *hub.Session, name string, id *auth.Identity) {
	if s != nil && g.tenants.Revoked(name, id, time.Now()) {
		s.Revoked()
	}
}

// identify finds and verifies the token. The error is an *auth.Refusal.
func (g *Gateway) identify(r *http.Request, hubName string) (auth.Identity, error) {
	token, _, err := auth.FromRequest(r.Header, r.URL.RawQuery, g.cookie)
	if err != nil {
		return auth.Identity{}, err
	}
	if token == "" {
		if id, ok, err := g.tenants.Certified(certificate(r), hubName, time.Now()); err != nil || ok {
			return id, err
		}
	}
	return g.tenants.Verify(token, hubName, time.Now())
}

// providerPause is when a client may come again whose provider has not answered in
// time: it has waited already.
const providerPause = 5 * time.Second

// refused answers with what auth found wrong.
func refused(err error) *engine.Refusal {
	if r, ok := errors.AsType[*auth.Refusal](err); ok {
		refusal := &engine.Refusal{Status: r.Status, Label: string(r.Reason), Reason: r.Detail}
		if r.Reason == auth.IssuerUnavailable {
			refusal.RetryAfter, refusal.Later = providerPause, r.Later
		}
		return refusal
	}
	return &engine.Refusal{Status: http.StatusUnauthorized, Label: string(auth.TokenMalformed), Reason: err.Error()}
}

// route finds the hub's name in the address: /client/hubs/{hub}, or the older
// form /client/?hub={hub}.
func route(u *url.URL) (hubName string, _ *engine.Refusal) {
	if strings.Contains(strings.ToLower(u.RawPath), "%2f") {
		// A proxy that guards a path does not take it for a slash.
		return "", &engine.Refusal{Status: http.StatusNotFound, Label: "unknown_path",
			Reason: "the path holds an escaped slash; clients connect at /client/hubs/{hub}"}
	}
	name, ok := strings.CutPrefix(u.Path, "/client/hubs/")
	if !ok && (u.Path == "/client/" || u.Path == "/client") {
		name, ok = u.Query().Get("hub"), true
	}
	if !ok {
		return "", &engine.Refusal{Status: http.StatusNotFound, Label: "unknown_path",
			Reason: "clients connect at /client/hubs/{hub}"}
	}
	if !auth.ValidHub(name) {
		return "", &engine.Refusal{Status: http.StatusBadRequest, Label: "invalid_hub",
			Reason: "the address names no valid hub; clients connect at /client/hubs/{hub}"}
	}
	return name, nil
}

// subprotocols returns the offered subprotocols in the client's order.
func subprotocols(h http.Header) []string {
	var all []string
	for _, v := range h["Sec-Websocket-Protocol"] {
		for p := range strings.SplitSeq(v, ",") {
			if p = strings.Trim(p, " \t"); p != "" {
				all = append(all, p)
			}
		}
	}
	return all
}

// client makes a session an endpoint. It is one pointer wide, so it costs no
// allocation.
type client struct{ session *hub.Session }

func (c client) Message(op frame.Opcode, payload []byte) {
	c.session.Receive(op == frame.OpText, payload)
}

func (c client) Closed() { c.session.Closed() }

// Draining tells the client in its own grammar.
func (c client) Draining(reconnectAfter time.Duration) { c.session.Draining(reconnectAfter) }

// QueueBudget is that of the hub.
func (c client) QueueBudget() *budget.Budget { return c.session.QueueBudget() }

// Describe names the connection in the log.
func (c client) Describe(attrs []slog.Attr) []slog.Attr {
	return append(attrs, slog.String("hub", c.session.Hub()), slog.String("connection", c.session.ID()))
}

// knownClient is a client whose user id may stand in the log.
type knownClient struct{ client }

// Describe names the connection and the user.
func (c knownClient) Describe(attrs []slog.Attr) []slog.Attr {
	return append(c.client.Describe(attrs), slog.String("user", c.session.User()))
}

var (
	_ engine.Drainer   = client{}
	_ engine.Budgeted  = client{}
	_ engine.Describer = client{}
	_ engine.Describer = knownClient{}
)

// echo sends every message back.
type echo struct{ conn *engine.Conn }

func openEcho(c *engine.Conn) (engine.Endpoint, error) { return echo{c}, nil }

func (e echo) Message(op frame.Opcode, payload []byte) { e.conn.Write(op, payload) }

func (e echo) Closed() {}
