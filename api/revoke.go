package api

import (
	"encoding/json"
	"net/http"
	"time"

	"sluice/auth"
)

// revocation is the body of revoke: which tokens are good for nothing from now
// on, and for how long that is to be remembered.
type revocation struct {
	TokenID      string `json:"tokenId"`
	UserID       string `json:"userId"`
	IssuedBefore int64  `json:"issuedBefore"` // seconds since 1970
	KeepSeconds  int64  `json:"keepSeconds"`
	Reason       string `json:"reason"`
}

// How long a revocation is remembered, in seconds: usually and at most.
const (
	usualKeep = 24 * 60 * 60
	maxKeep   = 366 * 24 * 60 * 60
)

// revokeTokens refuses tokens from now on and ends the connections that came
// with them. The list comes first: a client that passes it before has its session
// before the loops are swept, or is judged by it once more when it has.
func revokeTokens(w http.ResponseWriter, c *call) *problem {
	what, r, p := c.revocation()
	if p != nil {
		return p
	}
	if err := c.data.Revoke(c.name, what, time.Duration(r.KeepSeconds)*time.Second); err != nil {
		return problemOf(err)
	}
	c.hub.CloseRevoked(what.Covers, r.Reason)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (c *call) revocation() (what auth.Revocation, r revocation, _ *problem) {
	body, p := c.body()
	if p != nil {
		return what, r, p
	}
	r = revocation{KeepSeconds: usualKeep, Reason: "the token was revoked"}
	if err := json.Unmarshal(body, &r); err != nil {
		return what, r, badRequest("body", `must be a JSON object with "tokenId", "userId" or "issuedBefore"`)
	}
	switch {
	case r.TokenID == "" && r.UserID == "" && r.IssuedBefore == 0:
		return what, r, badRequest("body", `needs "tokenId", "userId" or "issuedBefore"`)
	case r.TokenID != "" && (r.UserID != "" || r.IssuedBefore != 0):
		return what, r, badRequest("tokenId", "names one token and stands alone")
	case r.IssuedBefore < 0:
		return what, r, badRequest("issuedBefore", "must be seconds since 1970")
	case r.KeepSeconds < 1 || r.KeepSeconds > maxKeep:
		return what, r, badRequest("keepSeconds", "must be 1 to 31622400: at least as long as the tokens are valid")
	case len(r.Reason) > maxReason:
		return what, r, badRequest("reason", "longer than what a close frame can hold, 123 bytes")
	}
	what = auth.Revocation{TokenID: r.TokenID, User: r.UserID, IssuedUntil: time.Now()}
	if r.IssuedBefore != 0 {
		what.IssuedUntil = time.Unix(r.IssuedBefore-1, 0) // tokens tell whole seconds
	}
	return what, r, nil
}
