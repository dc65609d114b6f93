package gateway

import (
	"net/url"
	"strings"

	"sluice/engine"
	"sluice/hub"
	"sluice/hub/wire"
)

// The parameters of a client that comes back to its reliable session, and the
// names of the same in published libraries. These keep the access token of the
// first time in the address: it may have expired, and does not count.
const (
	paramConnectionID            = "connection_id"
	paramReconnectionToken       = "reconnection_token"
	compatParamConnectionID      = "awps_connection_id"
	compatParamReconnectionToken = "awps_reconnection_token"
)

// comeback is what a client says that comes back.
type comeback struct{ connection, token string }

// parseComeback returns nil for a client that comes for the first time.
func parseComeback(u *url.URL, compat bool) *comeback {
	if !strings.Contains(u.RawQuery, paramConnectionID) {
		return nil // nearly always; no need to take the query apart
	}
	q := u.Query()
	if id := last(q, paramConnectionID); id != "" {
		return &comeback{id, last(q, paramReconnectionToken)}
	}
	if id := last(q, compatParamConnectionID); id != "" && compat {
		return &comeback{id, last(q, compatParamReconnectionToken)}
	}
	return nil
}

// resume accepts a client that comes back, on the loop where its session lives.
// If there is no such session the connection is opened all the same and closed
// with 1008: that tells a client to start afresh, while an HTTP error would have
// it try again and again.
func (g *Gateway) resume(offered []string, hubName string, back *comeback) Admission {
	grammar, subprotocol, _ := wire.Select(offered, g.compat)
	a := Admission{
		Subprotocol: subprotocol,
		Open:        func(hub.Loop, hub.Link) (*hub.Session, error) { return nil, hub.NotResumable() },
	}
	h, ok := g.hubs.Known(hubName)
	if !ok {
		return a
	}
	s, ok := h.Resumable(back.connection, back.token)
	if !ok {
		return a
	}
	a.Loop = s.Loop()
	a.Open = func(_ hub.Loop, link hub.Link) (*hub.Session, error) {
		if err := s.Resume(link, grammar); err != nil {
			return nil, err
		}
		return s, nil
	}
	return a
}

// lasting returns the endpoint of a connection whose session may outlive it.
func (g *Gateway) lasting(s *hub.Session, c *engine.Conn) engine.Endpoint {
	if g.logUsers {
		return knownLasting{knownClient{client{s}}, c}
	}
	return lasting{client{s}, c}
}

// lasting is a client whose session may outlive the connection.
type lasting struct {
	client
	conn *engine.Conn
}

func (l lasting) Closed() { l.session.Left(l.conn, l.conn.Broken()) }

// knownLasting is one whose user id may stand in the log.
type knownLasting struct {
	knownClient
	conn *engine.Conn
}

func (l knownLasting) Closed() { l.session.Left(l.conn, l.conn.Broken()) }

var (
	_ engine.Drainer   = lasting{}
	_ engine.Describer = lasting{}
	_ engine.Drainer   = knownLasting{}
	_ engine.Describer = knownLasting{}
)
