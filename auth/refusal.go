package auth

import (
	"errors"
	"net/http"
)

// Reason says why a client was refused. Its value is a metric label and part of
// what clients see; the set is closed, see [Reasons].
type Reason string

const (
	TokenMissing      Reason = "token_missing"       // no place of the request holds a token
	TokenMalformed    Reason = "token_malformed"     // not a JWT, or a claim of the wrong kind
	TokenTooLarge     Reason = "token_too_large"     // longer than Config.MaxTokenSize
	TokenAlgorithm    Reason = "token_algorithm"     // signed with an algorithm that no key is for
	TokenSignature    Reason = "token_signature"     // signed with none of the keys
	TokenExpired      Reason = "token_expired"       // exp has passed
	TokenNotYetValid  Reason = "token_not_yet_valid" // nbf has not come
	TokenAudience     Reason = "token_audience"      // made for another hub or endpoint
	TokenRevoked      Reason = "token_revoked"       // revoked by a back end
	TokenClaim        Reason = "token_claim"         // a claim has not the value that its issuer here requires
	TokenInactive     Reason = "token_inactive"      // its issuer was asked and says no
	TokenGroupInvalid Reason = "token_group_invalid" // names a group that cannot exist
	TicketUnknown     Reason = "ticket_unknown"      // never made for the hub, or used, or expired a while ago
	TicketExpired     Reason = "ticket_expired"      // not used in time
	IssuerUnavailable Reason = "issuer_unavailable"  // its issuer must be asked first and has not answered
	OriginDenied      Reason = "origin_denied"       // pages of that origin may not connect

	CertificateMissing Reason = "certificate_missing" // the hub takes nobody without a client certificate
	CertificateUser    Reason = "certificate_user"    // the certificate names no user
)

// Reasons returns every Reason, so that a metric can show each of them from the
// start.
func Reasons() []Reason {
	return []Reason{
		TokenMissing, TokenMalformed, TokenTooLarge, TokenAlgorithm, TokenSignature,
		TokenExpired, TokenNotYetValid, TokenAudience, TokenRevoked, TokenClaim, TokenInactive, TokenGroupInvalid,
		TicketUnknown, TicketExpired, IssuerUnavailable, OriginDenied, CertificateMissing, CertificateUser,
	}
}

// IsFailure reports whether an error of this package says that a client has failed
// to prove who it is, as somebody does who guesses. What was good once, or may be
// good later, is none.
func IsFailure(err error) bool {
	r, ok := errors.AsType[*Refusal](err)
	if !ok {
		return false
	}
	switch r.Reason {
	case TokenMissing, TokenMalformed, TokenTooLarge, TokenAlgorithm, TokenSignature, TokenAudience, TokenInactive, TicketUnknown:
		return true
	}
	return false
}

// status is the HTTP status that answers a handshake refused for this reason.
func (r Reason) status() int {
	switch r {
	case TokenGroupInvalid:
		return http.StatusBadRequest
	case IssuerUnavailable, CallsFull:
		return http.StatusServiceUnavailable
	case OriginDenied:
		return http.StatusForbidden
	}
	return http.StatusUnauthorized
}

// Refusal is the error of everything in this package that judges a client.
type Refusal struct {
	Reason Reason
	Status int    // of the HTTP answer
	Detail string // one sentence for the client's developer; holds no part of the token

	// Later is where an answer will be that is worth to be waited for; nil for a
	// refusal that stands. Whoever waits asks again from the beginning then.
	Later Later
}

// Later is an answer that is on its way. It is safe for concurrent use.
type Later interface {
	// Wait has wake called once as soon as it is worth asking again: at once where
	// it is already, else in another goroutine. wake must not block. cancel takes
	// the call back, as far as it is not under way. ok is false where no more may
	// wait; then wake is not called and cancel is nil.
	Wait(wake func()) (cancel func(), ok bool)
}

// Refuse returns the refusal for a reason, with the status that belongs to it.
func Refuse(reason Reason, detail string) *Refusal {
	return &Refusal{Reason: reason, Status: reason.status(), Detail: detail}
}

func (r *Refusal) Error() string { return string(r.Reason) + ": " + r.Detail }
