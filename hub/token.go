package hub

import (
	"errors"
	"time"

	"sluice/auth"
	"sluice/hub/wire"
)

// Verifier judges the token with which a client that is connected goes on. It is
// called on the loops and must not block. *auth.Verifier is one.
type Verifier interface {
	Verify(token, hub string, now time.Time) (auth.Identity, error)
}

var _ Verifier = (*auth.Verifier)(nil)

// bind takes over what the token says about a client, but for its user and
// groups: these stay what they were when it came.
func (s *Session) bind(id *auth.Identity) {
	s.permissions = id.Permissions
	s.issued, s.expires = seconds(id.IssuedAt), seconds(id.Expires)
	if id.TokenID != "" || s.extra != nil {
		s.seldom().tokenID = id.TokenID
	}
}

// seconds returns a time in seconds since 1970, rounded down, 0 for none. What
// is beyond the year 2106 is that year.
func seconds(t time.Time) uint32 {
	if t.IsZero() {
		return 0
	}
	return uint32(min(max(t.Unix(), 0), 1<<32-1))
}

// origin returns where the present token comes from.
func (s *Session) origin() auth.Origin {
	o := auth.Origin{User: s.user}
	if s.extra != nil {
		o.TokenID = s.extra.tokenID
	}
	if s.issued != 0 {
		o.IssuedAt = time.Unix(int64(s.issued), 0)
	}
	return o
}

// refresh takes a new token of the same user, so that the client need not
// connect again before the old one expires. A refusal leaves all as it was.
func (s *Session) refresh(req *wire.Request) refusal {
	n := s.hub.node
	if n.verifier == nil {
		return unsupported
	}
	id, err := n.verifier(s.hub.name).Verify(string(req.Token), s.hub.name, n.now())
	if r, ok := errors.AsType[*auth.Refusal](err); ok && r.Reason == auth.IssuerUnavailable {
		return unverified // it is being asked; the client has time until its token expires
	}
	if err != nil || id.User != s.user {
		return unauthorized
	}
	s.bind(&id)
	s.link.Expire(id.Expires)
	s.planNotice()
	return accepted
}

// notify notes which notices the client wants from now on.
func (s *Session) notify(wanted wire.Notices) refusal {
	s.seldom().wantsNotice = wanted&wire.TokenExpiring != 0
	s.planNotice()
	return accepted
}

// planNotice sets the time at which the client hears that its token expires.
func (s *Session) planNotice() {
	x := s.extra
	if x == nil {
		return
	}
	x.notice = 0
	if x.wantsNotice && s.expires != 0 {
		n := s.hub.node
		x.notice = n.tickAfter(time.Unix(int64(s.expires), 0).Add(-n.cfg.TokenNotice))
	}
	x.arm()
}

// tokenExpiring tells the client that its token expires soon, once for each
// token.
func (s *Session) tokenExpiring() {
	s.extra.notice = 0
	left := time.Unix(int64(s.expires), 0).Sub(s.hub.node.now())
	if !s.is(flagClosing) {
		s.reply(s.language().AppendTokenExpiring(s.lane.blank(), max(0, left)))
	}
}
