package hub

import (
	"slices"

	"sluice/hub/wire"
)

// Handler takes what clients have to say to a service and not to each other. The
// hub declares it for what is upstream.
type Handler interface {
	// Handle takes one event. It runs on the client's loop and must not block;
	// the event is valid until it returns. The answer is given later, once, from
	// any goroutine; the client waits for it if it has asked for one, so there
	// must be one.
	Handle(e *Event, answer *Answer)

	// Cancel tells that the client does not wait for the answer to an
	// invocation any more. The id is valid until Cancel returns. It runs on the
	// client's loop and must not block.
	Cancel(connection ConnectionInfo, invocationID []byte)
}

// Event is something that a client says to a service.
type Event struct {
	Hub        string
	Connection ConnectionInfo
	Name       string // "message" from a raw client
	DataType   wire.DataType
	Data       []byte
	Metadata   []wire.Pair

	// InvocationID is set where the client waits for the answer's data.
	InvocationID []byte
}

// Answer is what a service owes a client for an event.
type Answer struct {
	session    *Session
	ackID      uint64
	hasAck     bool
	invocation string
	invoked    bool
}

// Give answers with a message, or with nil when there is nothing to say. The hub
// owns the message from then on. False means that the client's loop is
// overloaded: the client does not get it.
func (a *Answer) Give(m *Outgoing) bool {
	return a.session.post(chore(func() { a.give(m, accepted) }))
}

// Fail tells the client that its event was not handled, and why, as far as that
// is the client's business.
func (a *Answer) Fail() bool {
	return a.session.post(chore(func() { a.give(nil, handlerFailed) }))
}

// give answers on the client's loop: with data first, because that is how
// published clients know that an acknowledgement is the last of it.
func (a *Answer) give(m *Outgoing, r refusal) {
	s := a.session
	if s.is(flagClosing) {
		return
	}
	if a.invoked {
		s.respond(a.invocation, m, s.count(r))
		return
	}
	if m != nil {
		s.tell(m.message(""))
	}
	s.answer(&wire.Request{AckID: a.ackID, HasAck: a.hasAck}, r)
}

// Handle gives the events of all hubs to h, except of those that answer them
// themselves. Call it before the first session is opened.
func (n *Node) Handle(h Handler) { n.handler = h }

// handler returns who takes the hub's events, nil when nobody does.
func (h *Hub) handler() Handler {
	if h.policy.Events == EventsEcho {
		return echo{}
	}
	return h.node.handler
}

// event hands an event or an invocation to the hub's handler.
func (s *Session) event(req *wire.Request) {
	h := s.hub.handler()
	r := accepted
	switch {
	case h == nil:
		r = noHandler
	case !s.hub.admits(len(req.Data)):
		r = rateLimited
	}
	if r == accepted {
		invoked := req.Kind == wire.Invoke
		a := &Answer{session: s, ackID: req.AckID, hasAck: req.HasAck, invoked: invoked, invocation: string(req.InvocationID)}
		h.Handle(&Event{
			Hub: s.hub.name, Connection: s.info(), Name: string(req.Event),
			DataType: req.DataType, Data: req.Data, Metadata: req.Metadata, InvocationID: req.InvocationID,
		}, a)
		return
	}
	s.decline(req, r)
}

// decline answers a request that is not done with why, in the way of its kind.
func (s *Session) decline(req *wire.Request, r refusal) {
	if req.Kind == wire.Invoke {
		s.respond(string(req.InvocationID), nil, s.count(r))
		return
	}
	s.answer(req, r)
}

// respond answers an invocation.
func (s *Session) respond(id string, m *Outgoing, r refusal) {
	response := &wire.InvokeResponse{InvocationID: id, Error: refusals[r].name, ErrorMessage: refusals[r].message, DataType: wire.Text}
	if m != nil {
		response.DataType, response.Data = m.DataType, m.Data
	}
	s.reply(s.language().AppendInvokeResponse(s.lane.blank(), response))
}

// echo answers every event with itself, for development.
type echo struct{}

// Handle implements Handler.
func (echo) Handle(e *Event, a *Answer) {
	a.Give(&Outgoing{DataType: e.DataType, Data: slices.Clone(e.Data)})
}

// Cancel implements Handler.
func (echo) Cancel(ConnectionInfo, []byte) {}
