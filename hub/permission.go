package hub

import (
	"context"

	"sluice/auth"
)

// maxExceptions is how many permissions of its own a connection can have for
// each action.
const maxExceptions = 1000

// exceptions are a connection's own permissions, by action and group: granted
// where true, revoked where false. They come before those of its roles, and stay
// when a new token brings other roles.
type exceptions [auth.SendToGroup + 1]map[string]bool

// allowed reports whether the client may do something with a group. It does not
// allocate.
func (s *Session) allowed(a auth.Action, group []byte) bool {
	if s.extra != nil {
		if allowed, ok := s.extra.own[a][string(group)]; ok {
			return allowed
		}
	}
	return s.permissions.Allowed(a, group)
}

// except grants or revokes one permission.
func (s *Session) except(a auth.Action, group string, allowed bool) refusal {
	own := &s.seldom().own[a]
	if _, ok := (*own)[group]; !ok && len(*own) == maxExceptions {
		return tooManyRules
	}
	if *own == nil {
		*own = make(map[string]bool)
	}
	(*own)[group] = allowed
	return accepted
}

// Grant allows a connection an action on one group, whatever its roles say.
func (h *Hub) Grant(ctx context.Context, id string, a auth.Action, group string) error {
	return h.except(ctx, id, a, group, true)
}

// Revoke forbids a connection an action on one group, whatever its roles say. It
// does not end a membership.
func (h *Hub) Revoke(ctx context.Context, id string, a auth.Action, group string) error {
	return h.except(ctx, id, a, group, false)
}

func (h *Hub) except(ctx context.Context, id string, a auth.Action, group string, allowed bool) error {
	if !h.validGroup(group) {
		return h.noted(invalidGroup)
	}
	return h.askConnection(ctx, id, func(s *Session) refusal { return s.count(s.except(a, group, allowed)) })
}

// Allowed reports whether a connection may do something with a group now.
func (h *Hub) Allowed(ctx context.Context, id string, a auth.Action, group string) (bool, error) {
	allowed := false
	err := h.askConnection(ctx, id, func(s *Session) refusal {
		allowed = s.allowed(a, []byte(group))
		return accepted
	})
	return allowed && err == nil, err
}
