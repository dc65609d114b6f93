package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// Reconnection makes and checks the tokens with which clients come back to a
// session that has outlived their connection. Its key is made by New and lives
// as long as the process, as the sessions do: a token of another process, or of
// one that was started again, is good for nothing. It is safe for concurrent use.
type Reconnection struct{ key [32]byte }

// NewReconnection returns a Reconnection with a key of its own.
func NewReconnection() *Reconnection {
	r := &Reconnection{}
	rand.Read(r.key[:]) // never fails
	return r
}

// Mint returns the token for a connection of a hub, whose name must be canonical.
// It is always the same one: a client that has not got the latest may come with
// an earlier one.
func (r *Reconnection) Mint(hub, connection string) string {
	return base64.RawURLEncoding.EncodeToString(r.sum(hub, connection))
}

// Verify reports whether a token is that of the connection. It takes the same
// time whatever the token is.
func (r *Reconnection) Verify(token, hub, connection string) bool {
	sum, err := base64.RawURLEncoding.DecodeString(token)
	return err == nil && hmac.Equal(sum, r.sum(hub, connection))
}

func (r *Reconnection) sum(hub, connection string) []byte {
	h := hmac.New(sha256.New, r.key[:])
	h.Write([]byte(hub))
	h.Write([]byte{0}) // in no name of a hub
	h.Write([]byte(connection))
	return h.Sum(nil)
}
