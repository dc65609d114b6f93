package hub

import "sluice/hub/wire"

// What back ends send. Each of these may be called from any goroutine; what one
// goroutine sends arrives in the order of its calls, whatever it is sent to. The
// error is ErrRateLimited, ErrMessageTooLarge, or ErrOverloaded when some of the
// event loops have not taken it: their clients do not get it.

// SendToAll sends to every connection of the hub that is selected. It reaches
// those that are open when it is called and may reach those that open while it
// is on its way.
func (h *Hub) SendToAll(m *Outgoing, s Selection) error {
	if r := h.accept(m); r != accepted {
		return h.noted(r)
	}
	a := h.announce(m, h.speakers.spoken(), s)
	r := accepted
	for i := range h.node.lanes {
		if l := &h.node.lanes[i]; l.ready.Load() {
			r = r.or(h.send(&errand{a, l, nil}, h.residents[i].count.Load()))
		}
	}
	return h.noted(r)
}

// SendToGroup publishes to the selected members of a group. To them it is a
// message from the group that no user has sent.
func (h *Hub) SendToGroup(group string, m *Outgoing, s Selection) error {
	if !h.validGroup(group) {
		return h.noted(invalidGroup)
	}
	if r := h.accept(m); r != accepted {
		return h.noted(r)
	}
	h.outside().published.Add(1)
	p := publication{only: s.compile(), until: h.node.after(m.TTL)}
	g, ok := h.groups.Load(group)
	e := h.node.encoders.get()
	defer h.node.encoders.put(e)
	var members uint64
	r := accepted
	if hist := h.historyOf(group, g); hist != nil {
		members, r = h.publishKept(hist, e, m.message(hist.name), []byte(m.ConflationKey), p, 0, h.outside())
		h.dismiss(hist)
	} else if ok {
		p.group = g
		p.encode(e, m.message(g.name), []byte(m.ConflationKey))
		members, r = p.post(nowhere, 0, h.outside())
	}
	h.node.fanOut.Observe(members)
	return h.noted(r)
}

// SendToUser sends to the selected connections of a user. A user without any is
// no error.
func (h *Hub) SendToUser(user string, m *Outgoing, s Selection) error {
	if r := h.accept(m); r != accepted {
		return h.noted(r)
	}
	return h.sendTo(h.users.all(user), m, s)
}

// SendToConnection sends to one connection, or returns ErrNoConnection.
func (h *Hub) SendToConnection(id string, m *Outgoing) error {
	s, err := h.connection(id)
	if err != nil {
		return err
	}
	if r := h.accept(m); r != accepted {
		return h.noted(r)
	}
	return h.sendTo([]*Session{s}, m, Selection{})
}

func (h *Hub) sendTo(sessions []*Session, m *Outgoing, s Selection) error {
	var spoken grammarSet
	for _, s := range sessions {
		spoken |= 1 << s.grammar
	}
	a := h.announce(m, spoken, s)
	r := accepted
	for i, to := range h.byLane(sessions) {
		if to != nil {
			r = r.or(h.send(&errand{a, &h.node.lanes[i], to}, int32(len(to))))
		}
	}
	return h.noted(r)
}

// accept judges a message before anything is done for it.
func (h *Hub) accept(m *Outgoing) refusal {
	switch limit := h.policy.MaxMessageSize; {
	case limit > 0 && len(m.Data) > limit:
		return tooLarge
	case !h.admits(len(m.Data)):
		return rateLimited
	}
	return accepted
}

// message returns what receivers get; group is "" for a message from the server.
func (m *Outgoing) message(group string) *wire.Message {
	return &wire.Message{Group: group, DataType: m.DataType, Data: m.Data, Metadata: m.Metadata}
}

// announcement is a message from the server, not for a group, on its way. It
// does not change and is shared by the tasks of all loops.
type announcement struct {
	hub      *Hub
	only     *selection
	until    int64 // see Session.take
	messages translations
}

func (h *Hub) announce(m *Outgoing, spoken grammarSet, s Selection) *announcement {
	a := &announcement{hub: h, only: s.compile(), until: h.node.after(m.TTL)}
	e := h.node.encoders.get()
	a.messages.make(e, h.node, spoken, m.message(""))
	a.messages.expendable(h.policy.groups.all[0].overflow, "", []byte(m.ConflationKey))
	h.node.encoders.put(e)
	return a
}

// errand is an announcement as a task for one loop.
type errand struct {
	*announcement
	lane *lane
	to   []*Session // on that loop; nil: all of the hub that are there
}

// send posts an errand with that many receivers.
func (h *Hub) send(e *errand, receivers int32) refusal {
	if !e.lane.loop.Post(e) {
		h.outside().dropped[loopOverloaded].Add(uint64(receivers))
		return overloaded
	}
	return accepted
}

// Run sends to those of the receivers that are still there.
func (e *errand) Run() {
	to := e.to
	if to == nil {
		to = e.hub.residents[e.lane.index].sessions
	}
	var sent, refused uint64
	for _, s := range to {
		message := e.messages[s.grammar]
		if message == nil || s.is(flagGone) || !e.only.takes(s) {
			continue
		}
		if s.take(message, e.until) {
			sent++
		} else {
			refused++
		}
	}
	t := e.lane.tally(e.hub)
	t.told.Add(sent)
	if refused > 0 {
		t.dropped[linkRefused].Add(refused)
	}
}
