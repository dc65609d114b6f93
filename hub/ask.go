package hub

import "context"

// chore is a function as a task.
type chore func()

// Run calls the function.
func (c chore) Run() { c() }

// gather posts a task to each of the lanes and waits until all have answered,
// which each does once, but no longer than ctx allows. It returns the first
// refusal among the answers; a loop that does not take its task is one.
func gather(ctx context.Context, lanes []*lane, task func(l *lane, answer func(refusal)) Task) error {
	answers := make(chan refusal, len(lanes)) // room for all: a loop never waits
	answer := func(r refusal) { answers <- r }
	first, waiting := accepted, 0
	for _, l := range lanes {
		if l.loop.Post(task(l, answer)) {
			waiting++
		} else {
			first = first.or(overloaded)
		}
	}
	for range waiting {
		select {
		case r := <-answers:
			first = first.or(r)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return first.err()
}

// askConnection has f run with the session of a connection on its loop and waits
// for what it says.
func (h *Hub) askConnection(ctx context.Context, id string, f func(s *Session) refusal) error {
	s, err := h.connection(id)
	if err != nil {
		return err
	}
	return gather(ctx, []*lane{s.lane}, func(_ *lane, answer func(refusal)) Task {
		return chore(func() {
			if s.is(flagGone) {
				answer(noConnection)
			} else {
				answer(f(s))
			}
		})
	})
}

// askUser has f run with each session of a user on its loop, and waits. One that
// ends meanwhile is passed over.
func (h *Hub) askUser(ctx context.Context, user string, f func(s *Session) refusal) error {
	sessions := h.byLane(h.users.all(user))
	var lanes []*lane
	for i := range sessions {
		if sessions[i] != nil {
			lanes = append(lanes, &h.node.lanes[i])
		}
	}
	return gather(ctx, lanes, func(l *lane, answer func(refusal)) Task {
		return chore(func() {
			first := accepted
			for _, s := range sessions[l.index] {
				if !s.is(flagGone) {
					first = first.or(f(s))
				}
			}
			answer(first)
		})
	})
}

// sweepAll visits the selected sessions of the hub on their loops and waits.
func (h *Hub) sweepAll(ctx context.Context, only *selection, visit func(s *Session) refusal) error {
	return gather(ctx, h.inhabited(), func(l *lane, answer func(refusal)) Task {
		return &sweep{lane: l, list: &h.residents[l.index], only: only, visit: visit, done: answer}
	})
}

// inhabited returns the lanes on which the hub has sessions.
func (h *Hub) inhabited() (lanes []*lane) {
	for i := range h.residents {
		if h.residents[i].count.Load() > 0 {
			lanes = append(lanes, &h.node.lanes[i])
		}
	}
	return lanes
}

// inhabited returns the lanes on which the group has members.
func (g *group) inhabited() (lanes []*lane) {
	for i := range g.rosters {
		if g.rosters[i].count.Load() > 0 {
			lanes = append(lanes, &g.hub.node.lanes[i])
		}
	}
	return lanes
}
