package hub_test

import (
	"strings"
	"testing"

	"sluice/auth"
	"sluice/frame"
	"sluice/hub"
	"sluice/hub/wire"
)

// service keeps what it is asked and answers when the test says so.
type service struct {
	events    []hub.Event
	answers   []*hub.Answer
	cancelled []string
}

func (s *service) Handle(e *hub.Event, a *hub.Answer) {
	kept := *e
	kept.Data = append([]byte(nil), e.Data...)
	s.events, s.answers = append(s.events, kept), append(s.answers, a)
}

func (s *service) Cancel(_ hub.ConnectionInfo, id []byte) {
	s.cancelled = append(s.cancelled, string(id))
}

var _ hub.Handler = (*service)(nil)

// TestEvents: what a service says comes before the acknowledgement.
func TestEvents(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{})
	s := &service{}
	w.node.Handle(s)
	a := w.user(0, "ann")
	a.say(`{"type":"event","event":"order","dataType":"text","data":"tea","ackId":1}`)
	a.say(`{"type":"event","event":"order","data":{"n":2},"ackId":2}`)
	a.say(`{"type":"event","event":"order","data":3}`)
	a.say(`{"type":"event","event":"order","data":4}`)
	if e := s.events[0]; e.Hub != "chat" || e.Connection != (hub.ConnectionInfo{ID: a.ID(), User: "ann"}) ||
		e.Name != "order" || e.DataType != wire.Text || string(e.Data) != "tea" {
		t.Errorf("event %+v", e)
	}
	equal(t, "before the answer", a.link.take(), nil)
	s.answers[0].Give(text("here"))
	s.answers[1].Give(nil)
	s.answers[2].Fail()
	s.answers[3].Give(text("late"))
	w.drain()
	equal(t, "answers", a.link.take(), []string{
		`{"type":"message","from":"server","dataType":"text","data":"here"}`,
		`{"type":"ack","ackId":1,"success":true}`,
		`{"type":"ack","ackId":2,"success":true}`,
		`{"type":"message","from":"server","dataType":"text","data":"late"}`,
	})
	if n := count(t, w.hub.Stats().Refused, "handler_failed"); n != 1 {
		t.Errorf("counted %d failures", n)
	}

	a.say(`{"type":"event","event":"order","data":5,"ackId":5}`)
	s.answers[4].Fail()
	w.drain()
	equal(t, "failure", a.link.take(), []string{
		`{"type":"ack","ackId":5,"success":false,"error":{"name":"InternalServerError","message":"the handler of events has failed"}}`})
	a.say(`{"type":"event","event":"order","data":6,"ackId":6}`)
	a.Closed()
	s.answers[5].Give(text("too late"))
	w.drain()
	equal(t, "after the end", a.link.take(), nil)
}

func TestInvocations(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{})
	s := &service{}
	a := w.open(0)
	invoke := func(id string) {
		a.Request(wire.Request{Kind: wire.Invoke, InvocationID: []byte(id), Event: []byte("sum"), DataType: wire.Text, Data: []byte("1+1"), HasData: true})
	}
	respond := func(r wire.InvokeResponse) string { return string(wire.JSONv1{}.AppendInvokeResponse(nil, &r)) }

	invoke("0")
	equal(t, "without a handler", a.link.take(), []string{respond(wire.InvokeResponse{
		InvocationID: "0", Error: wire.InternalServerError, ErrorMessage: "the hub has no handler for events"})})
	w.node.Handle(s)
	invoke("1")
	invoke("2")
	invoke("3")
	a.Request(wire.Request{Kind: wire.CancelInvocation, InvocationID: []byte("3")})
	equal(t, "cancelled", s.cancelled, []string{"3"})
	if string(s.events[1].InvocationID) != "2" {
		t.Errorf("event %+v", s.events[1])
	}
	s.answers[0].Give(text("2"))
	s.answers[1].Fail()
	w.drain()
	equal(t, "answers", a.link.take(), []string{
		respond(wire.InvokeResponse{InvocationID: "1", DataType: wire.Text, Data: []byte("2")}),
		respond(wire.InvokeResponse{InvocationID: "2", Error: wire.InternalServerError, ErrorMessage: "the handler of events has failed"}),
	})
}

// TestRaw: a client without a subprotocol gets bare data and says bare data. It
// is closed where others get an error.
func TestRaw(t *testing.T) {
	echo, none := hub.Tenant{Events: hub.EventsEcho}, hub.Tenant{}
	for _, c := range []struct {
		name   string
		tenant hub.Tenant
		pipe   *hub.Pipe
		may    *auth.Permissions
		want   string // what it gets, "" for nothing
		member bool   // another member of g gets it
		code   frame.CloseCode
	}{
		{"echo", echo, nil, nil, "hello", false, 0},
		{"no handler", none, nil, nil, "", false, frame.CloseInternalError},
		{"to a group", none, &hub.Pipe{Group: "g"}, everything, "hello", true, 0},
		{"to a group, without its own", none, &hub.Pipe{Group: "g", NoEcho: true}, everything, "", true, 0},
		{"to a group, forbidden", none, &hub.Pipe{Group: "g"}, nil, "", false, frame.ClosePolicyViolation},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, c.tenant)
			other := w.open(0, "g")
			link := &fakeLink{}
			raw, err := w.openRaw(link, auth.Identity{Permissions: c.may, Groups: []string{"g"}}, c.pipe)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "at first", link.take(), nil)
			raw.Receive(true, []byte("hello"))
			w.drain()
			if got := strings.Join(link.take(), "\n"); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if got := len(other.link.data(t)) == 1; got != c.member {
				t.Errorf("another member got it: %v", got)
			}
			if link.closed != (c.code != 0) || link.code != c.code {
				t.Errorf("closed %v with %d, want %d", link.closed, link.code, c.code)
			}
		})
	}
}

func (w *world) openRaw(link hub.Link, id auth.Identity, pipe *hub.Pipe) (*hub.Session, error) {
	g, _, _ := wire.Select(nil, false)
	if pipe != nil {
		return w.hub.OpenRaw(w.loops[0], link, id, g, *pipe)
	}
	return w.hub.Open(w.loops[0], link, id, g)
}

// TestSequenced: each receiver of a message in a grammar with sequence numbers
// gets its own, from 1 without a gap, for all messages with data.
func TestSequenced(t *testing.T) {
	w := newWorld(t, 2, hub.Tenant{Events: hub.EventsEcho})
	g, _, ok := wire.Select([]string{"json.reliable.sluice.v1"}, false)
	if !ok {
		t.Fatal("no such grammar")
	}
	id := auth.Identity{Permissions: everything, Groups: []string{"g"}}
	a, b, plain := w.openAs(0, id, g), w.openAs(1, id, g), w.open(0, "g")
	w.hub.SendToConnection(b.ID(), text("0"))
	w.drain()
	a.send("g", "1")
	w.hub.SendToGroup("g", text("2"), hub.Selection{})
	w.hub.SendToAll(text("3"), hub.Selection{})
	w.drain()
	a.say(`{"type":"event","event":"e","dataType":"text","data":"4"}`)
	w.drain()
	last := func(l *fakeLink) (ids []string) {
		for _, m := range l.take() {
			_, id, _ := strings.Cut(m, `"sequenceId":`)
			ids = append(ids, id)
		}
		return ids
	}
	equal(t, "a", last(a.link), []string{"1}", "2}", "3}", "4}"})
	equal(t, "b", last(b.link), []string{"1}", "2}", "3}", "4}"})
	equal(t, "without numbers", plain.link.data(t), []string{"1", "2", "3"})
}
