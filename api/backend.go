package api

import (
	"context"
	"net/http"
	"time"

	"sluice/access"
	"sluice/auth"
	"sluice/hub"
	"sluice/hub/wire"
)

// Backend is what the data plane asks of one hub; *hub.Hub is one. Its methods
// are called from any goroutine. What is sent is given to the event loops before
// a method returns; what has a context waits for them.
type Backend interface {
	SendToAll(m *hub.Outgoing, s hub.Selection) error
	SendToGroup(group string, m *hub.Outgoing, s hub.Selection) error
	SendToUser(user string, m *hub.Outgoing, s hub.Selection) error
	SendToConnection(id string, m *hub.Outgoing) error

	CloseAll(s hub.Selection, reason string) error
	CloseGroup(group string, s hub.Selection, reason string) error
	CloseUser(user string, s hub.Selection, reason string) error
	CloseConnection(id, reason string) error

	HasConnection(id string) bool
	HasUser(user string) bool
	HasGroup(group string) bool
	UserConnections(user string) []hub.ConnectionInfo
	GroupConnections(ctx context.Context, group, after string, limit int) (page []hub.ConnectionInfo, next string, err error)
	Presence(group string) []wire.StateItem
	History(group string, since uint64, epoch string, last int) (hub.HistoryPage, error)

	AddConnectionToGroup(ctx context.Context, id, group string) error
	RemoveConnectionFromGroup(ctx context.Context, id, group string) error
	RemoveConnectionFromAllGroups(ctx context.Context, id string) error
	AddUserToGroup(ctx context.Context, user, group string) error
	RemoveUserFromGroup(ctx context.Context, user, group string) error
	RemoveUserFromAllGroups(ctx context.Context, user string) error
	AddToGroups(ctx context.Context, groups []string, match func(hub.Subject) bool) error
	RemoveFromGroups(ctx context.Context, groups []string, match func(hub.Subject) bool) error

	Grant(ctx context.Context, id string, a auth.Action, group string) error
	Revoke(ctx context.Context, id string, a auth.Action, group string) error
	CloseRevoked(revoked func(auth.Origin) bool, reason string)
	Allowed(ctx context.Context, id string, a auth.Action, group string) (bool, error)
}

// Data is what the data plane works on. Its functions are called once for each
// request, from any goroutine.
type Data struct {
	// Hub finds a hub, making it where that is allowed.
	Hub func(name string) (Backend, bool)

	// Authorize checks the token of a call about a hub. The error is an
	// *auth.Refusal. Where the hub takes each token once it returns what spends this
	// one, to be called with the whole body before anything is done; else nil.
	Authorize func(r *http.Request, hub string) (spend func(body []byte) error, err error)

	// Revoke has tokens for a hub refused from now on, for so long.
	Revoke func(hub string, what auth.Revocation, keep time.Duration) error

	// Mint makes a token for a client.
	Mint func(c auth.Claims) (string, error)

	// Ticket makes a ticket for a client, to be used within life. The error is
	// auth.ErrTicketsFull or says what is wrong with c.
	Ticket func(c auth.Claims, life time.Duration) (string, error)

	// AddressRules returns the rules for the addresses of a hub's clients, nil
	// where it has none of its own; with create it gets some.
	AddressRules func(hub string, create bool) *access.Set

	// Observe is told of every call that names an operation: which of
	// Operations, the status of the answer, how long it took. Nil for nobody.
	Observe func(operation string, status int, took time.Duration)

	// Overloaded tells whether publications are to be refused. Nil for never.
	Overloaded func() bool

	// MaxBody bounds the body of a request, in bytes.
	MaxBody int64

	// MaxCallsPerSecond bounds the calls about one hub; 0 for no limit.
	MaxCallsPerSecond int

	// Set by NewData.
	sends *idempotency
	calls *callRates // nil for no limit
}
