// Package auth says who may come in: it turns the token of a request into an
// [Identity] or a typed [Refusal], compiles roles into [Permissions], and
// checks the origins of web pages.
//
// It owns the rules about keys, tokens, roles, origins and the names of hubs
// and groups. It does not own connections: whoever holds one ends it when
// Identity.Expires has come. It opens no socket, starts no goroutine, reads no
// clock (the time is passed in), and neither logs nor counts; callers do, with
// the labels of Reason.
//
// Everything here may be called from any goroutine, event loops included:
// nothing blocks, and a handshake costs a few microseconds. What is compiled
// ([Verifier], [Permissions], [Origins]) never changes and is shared.
package auth

import "time"

// Identity is what a verified token says about its client.
type Identity struct {
	// User is the id of the user; empty for an anonymous client.
	User string

	// Groups are the groups the client is in from the start, whatever its
	// permissions: valid names, sorted, each once.
	Groups []string

	// Permissions may be shared by many identities; nil allows nothing.
	Permissions *Permissions

	// Expires is the first moment at which Verify would refuse the token: its
	// exp claim plus the leeway. The connection must not outlive it.
	Expires time.Time

	// TokenID is the token's jti claim, if any: it names the token in a log
	// without showing it.
	TokenID string

	// IssuedAt is the token's iat claim; zero when it has none.
	IssuedAt time.Time

	// IgnoredRoles are the roles of ours that allow nothing because they break
	// a rule; worth a log line. Shared and read-only.
	IgnoredRoles []IgnoredRole
}

// Origin is where the identity of a client that is connected comes from: what is
// needed to know whether its token has been revoked since.
type Origin struct {
	TokenID  string    // "" when the token has no jti
	User     string    // "" for an anonymous client
	IssuedAt time.Time // zero when the token has no iat; in whole seconds
}
