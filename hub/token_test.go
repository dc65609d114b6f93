package hub_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"sluice/auth"
	"sluice/frame"
	"sluice/hub"
	"sluice/hub/wire"
)

// verifier knows the identities of some tokens.
type verifier map[string]auth.Identity

func (v verifier) Verify(token, _ string, _ time.Time) (auth.Identity, error) {
	if id, ok := v[token]; ok {
		return id, nil
	}
	if token == "being asked about" {
		return auth.Identity{}, auth.Refuse(auth.IssuerUnavailable, "try again")
	}
	return auth.Identity{}, errors.New("refused")
}

// TestAuth brings new tokens in band. One that is refused changes nothing.
func TestAuth(t *testing.T) {
	const (
		success = `{"type":"ack","ackId":1,"success":true}`
		later   = `{"type":"ack","ackId":1,"success":false,"error":{"name":"InternalServerError","message":"the token's issuer has not answered yet, try again"}}`
		refused = `{"type":"ack","ackId":1,"success":false,"error":{"name":"Unauthorized","message":"the token was refused"}}`
	)
	for _, c := range []struct {
		token, answer string
		may           bool // publish, then
	}{
		{"more", success, true},
		{"fewer", success, false},
		{"another user's", refused, true},
		{"nobody's", refused, true},
		{"unknown", refused, true},
		{"being asked about", later, true},
	} {
		t.Run(c.token, func(t *testing.T) {
			w := newWorld(t, 1, hub.Tenant{})
			later := w.now.Add(time.Hour)
			w.node.Verify(func(string) hub.Verifier {
				return verifier{
					"more":           {User: "ann", Permissions: everything, Expires: later, Groups: []string{"new"}},
					"fewer":          {User: "ann", Expires: later},
					"another user's": {User: "bob", Permissions: everything, Expires: later},
					"nobody's":       {Permissions: everything, Expires: later},
				}
			})
			a := w.user(0, "ann", "g")
			a.Request(wire.Request{Kind: wire.Auth, Token: []byte(c.token), HasAck: true, AckID: 1})
			equal(t, "answer", a.link.take(), []string{c.answer})
			if moved := a.link.expires.Equal(later); moved != (c.answer == success) {
				t.Errorf("expires at %v", a.link.expires)
			}
			a.send("g", "x")
			if got := len(a.link.data(t)) == 1; got != c.may {
				t.Errorf("may publish: %v", got)
			}
			if w.hub.HasGroup("new") {
				t.Error("the groups of the new token count")
			}
			if a.link.closed {
				t.Error("closed")
			}
		})
	}
}

// TestTokenNotice: a client that has asked hears once, half a minute before its
// token expires, and again for a new token.
func TestTokenNotice(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{})
	expires := w.now.Add(time.Hour)
	w.node.Verify(func(string) hub.Verifier {
		return verifier{"new": {User: "ann", Expires: expires.Add(time.Hour)}}
	})
	open := func() *client {
		return w.openAs(0, auth.Identity{User: "ann", Expires: expires}, wire.JSONv1{})
	}
	asks, silent, gone, never := open(), open(), open(), w.user(0, "ann")
	for _, c := range []*client{asks, gone, never} {
		c.Request(wire.Request{Kind: wire.Notify, Notices: wire.TokenExpiring, HasAck: true, AckID: 1})
		equal(t, "answer", c.link.take(), []string{`{"type":"ack","ackId":1,"success":true}`})
	}
	gone.Closed()

	notices := func(what string, want ...string) {
		t.Helper()
		equal(t, what, asks.link.take(), want)
	}
	notice := func(left time.Duration) string {
		return string(wire.JSONv1{}.AppendTokenExpiring(nil, left))
	}
	w.wait(59*time.Minute + 29*time.Second)
	notices("too early")
	w.wait(time.Second)
	notices("in time", notice(30*time.Second))
	w.wait(20 * time.Second)
	notices("once")
	asks.Request(wire.Request{Kind: wire.Auth, Token: []byte("new")})
	w.wait(30 * time.Minute)
	notices("with a new token")
	w.wait(29*time.Minute + 45*time.Second)
	notices("before that expires", notice(25*time.Second))
	for _, c := range []*client{silent, gone, never} {
		equal(t, "to others", c.link.take(), nil)
	}
}

// TestRevokedInAnOverload: a loop that is too busy closes later, and so does one
// whose client is replaced.
func TestRevokedInAnOverload(t *testing.T) {
	w := newWorld(t, 2, hub.Tenant{DuplicateLogin: hub.NewestWins})
	a, b := w.user(1, "ann"), w.user(1, "bob")
	w.loops[1].full = true
	w.hub.CloseRevoked(func(o auth.Origin) bool { return o.User == "ann" }, "revoked")
	w.user(0, "bob")
	w.wait(time.Second)
	if a.link.closed || b.link.closed {
		t.Fatal("closed by a loop that takes nothing")
	}
	w.loops[1].full = false
	w.wait(time.Second)
	if a.link.code != frame.ClosePolicyViolation || b.link.code != frame.CloseReplaced {
		t.Errorf("closed with %d and %d", a.link.code, b.link.code)
	}
}

// TestCloseRevoked closes by token, by user and by the time of issue.
func TestCloseRevoked(t *testing.T) {
	w := newWorld(t, 2, hub.Tenant{})
	old, young := w.now.Add(-time.Hour), w.now
	ids := []auth.Identity{
		{User: "ann", TokenID: "1", IssuedAt: old},
		{User: "bob", TokenID: "2", IssuedAt: young},
		{User: "bob"},
		{},
	}
	for _, c := range []struct {
		name    string
		revoked func(auth.Origin) bool
		closed  []bool
	}{
		{"token", func(o auth.Origin) bool { return o.TokenID == "2" }, []bool{false, true, false, false}},
		{"user", func(o auth.Origin) bool { return o.User == "bob" }, []bool{false, true, true, false}},
		{"issued before", func(o auth.Origin) bool { return o.IssuedAt.Before(young) }, []bool{true, false, true, true}},
	} {
		var clients []*client
		for i, id := range ids {
			clients = append(clients, w.openAs(i%2, id, wire.JSONv1{}))
		}
		w.hub.CloseRevoked(c.revoked, "revoked")
		w.drain()
		var closed []bool
		for _, k := range clients {
			closed = append(closed, k.link.closed)
			if k.link.closed && (k.link.code != frame.ClosePolicyViolation || k.link.reason != "revoked") {
				t.Errorf("closed with %d %q", k.link.code, k.link.reason)
			}
			k.Closed()
		}
		if !slices.Equal(closed, c.closed) {
			t.Errorf("%s: closed %v, want %v", c.name, closed, c.closed)
		}
	}
}
