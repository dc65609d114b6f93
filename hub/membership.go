package hub

import (
	"context"
	"slices"
)

// What back ends do with memberships. Each of these may be called from any
// goroutine and waits for the event loops, so that whoever publishes after it
// has returned can rely on it. The loops go on with it when ctx ends the wait.

// AddConnectionToGroup makes a connection a member of a group, whatever its
// permissions.
func (h *Hub) AddConnectionToGroup(ctx context.Context, id, group string) error {
	return h.askConnection(ctx, id, func(s *Session) refusal { return s.count(s.join(group)) })
}

// RemoveConnectionFromGroup ends a membership, if there is one.
func (h *Hub) RemoveConnectionFromGroup(ctx context.Context, id, group string) error {
	return h.askConnection(ctx, id, leaver([]string{group}))
}

// RemoveConnectionFromAllGroups ends all memberships of a connection.
func (h *Hub) RemoveConnectionFromAllGroups(ctx context.Context, id string) error {
	return h.askConnection(ctx, id, (*Session).leaveAll)
}

// AddUserToGroup makes the present connections of a user members of a group. The
// error is that of one of them; the others are members then.
func (h *Hub) AddUserToGroup(ctx context.Context, user, group string) error {
	if !h.validGroup(group) {
		return h.noted(invalidGroup)
	}
	return h.askUser(ctx, user, h.joiner([]string{group}))
}

// RemoveUserFromGroup ends the memberships of a user's connections in a group.
func (h *Hub) RemoveUserFromGroup(ctx context.Context, user, group string) error {
	return h.askUser(ctx, user, leaver([]string{group}))
}

// RemoveUserFromAllGroups ends all memberships of a user's connections.
func (h *Hub) RemoveUserFromAllGroups(ctx context.Context, user string) error {
	return h.askUser(ctx, user, (*Session).leaveAll)
}

// AddToGroups makes the present connections that match members of the groups;
// nil matches all. The error is that of one of them; the others are members then.
func (h *Hub) AddToGroups(ctx context.Context, groups []string, match func(Subject) bool) error {
	for _, name := range groups {
		if !h.validGroup(name) {
			return h.noted(invalidGroup)
		}
	}
	return h.sweepAll(ctx, Selection{Match: match}.compile(), h.joiner(groups))
}

// RemoveFromGroups ends the memberships in the groups of the connections that
// match; nil matches all.
func (h *Hub) RemoveFromGroups(ctx context.Context, groups []string, match func(Subject) bool) error {
	return h.sweepAll(ctx, Selection{Match: match}.compile(), leaver(groups))
}

// joiner returns what joins a session to groups.
func (h *Hub) joiner(groups []string) func(s *Session) refusal {
	return func(s *Session) (first refusal) {
		for _, name := range groups {
			first = first.or(s.count(s.join(name)))
		}
		return first
	}
}

// leaver returns what ends a session's memberships in groups.
func leaver(groups []string) func(s *Session) refusal {
	return func(s *Session) refusal {
		for _, name := range groups {
			s.leaveGroup(name)
		}
		return accepted
	}
}

// GroupConnections returns the members of a group whose ids come after that one,
// at most limit, in an order that stays the same from call to call. next is for
// the next call, "" when there are no more. A group that nobody is in is empty;
// ErrNoConnection means that after is not what an earlier call has returned.
func (h *Hub) GroupConnections(ctx context.Context, group, after string, limit int) (page []ConnectionInfo, next string, err error) {
	var from connectionID
	if after != "" {
		var ok bool
		if from, ok = parseID(after); !ok {
			return nil, "", ErrNoConnection
		}
	}
	g, ok := h.groups.Load(group)
	if !ok || limit <= 0 {
		return nil, "", nil
	}
	// Each loop returns so many that the first of all are among them, and one
	// more to tell whether there is another page.
	parts := make([][]*Session, len(g.rosters))
	err = gather(ctx, g.inhabited(), func(l *lane, answer func(refusal)) Task {
		return chore(func() {
			parts[l.index] = g.rosters[l.index].firstAfter(from, after == "", limit+1)
			answer(accepted)
		})
	})
	if err != nil {
		return nil, "", err
	}
	all := slices.Concat(parts...)
	slices.SortFunc(all, bySessionID)
	if len(all) > limit {
		all = all[:limit]
		next = all[limit-1].ID()
	}
	for _, s := range all {
		page = append(page, s.info())
	}
	return page, next, nil
}

func bySessionID(a, b *Session) int { return a.id.compare(b.id) }

// firstAfter returns the n members with the lowest ids above from, or from the
// lowest one on, in order.
func (r *roster) firstAfter(from connectionID, start bool, n int) []*Session {
	var first []*Session
	for i := range r.members {
		s := r.members[i].session
		if !start && s.id.compare(from) <= 0 {
			continue
		}
		// Sorted now and then rather than kept in order: the cost is that of
		// sorting once, whatever the size of the group.
		if first = append(first, s); len(first) == 2*n+64 {
			slices.SortFunc(first, bySessionID)
			first = first[:n]
		}
	}
	slices.SortFunc(first, bySessionID)
	return first[:min(n, len(first))]
}
