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
	TokenGroupInvalid Reason = "token_group_invalid" // names a group that cannot exist
	TicketUnknown     Reason = "ticket_unknown"      // never made for the hub, or used, or expired a while ago
	TicketExpired     Reason = "ticket_expired"      // not used in time
	IssuerUnavailable Reason = "issuer_unavailable"  // the keys of its issuer are not here yet
	OriginDenied      Reason = "origin_denied"       // pages of that origin may not connect

	CertificateMissing Reason = "certificate_missing" // the hub takes nobody without a client certificate
	CertificateUser    Reason = "certificate_user"    // the certificate names no user
)

// Reasons returns every Reason, so that a metric can show each of them from the
// start.
func Reasons() []Reason {
	return []Reason{
		TokenMissing, TokenMalformed, TokenTooLarge, TokenAlgorithm, TokenSignature,
		TokenExpired, TokenNotYetValid, TokenAudience, TokenRevoked, TokenGroupInvalid,
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
	case TokenMissing, TokenMalformed, TokenTooLarge, TokenAlgorithm, TokenSignature, TokenAudience, TicketUnknown:
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
}

// Refuse returns the refusal for a reason, with the status that belongs to it.
func Refuse(reason Reason, detail string) *Refusal {
	return &Refusal{Reason: reason, Status: reason.status(), Detail: detail}
}

func (r *Refusal) Error() string { return string(r.Reason) + ": " + r.Detail }
