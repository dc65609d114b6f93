package hub_test

import (
	"strings"
	"testing"

	"sluice/auth"
	"sluice/hub"
	"sluice/hub/wire"
)

func TestPublishReachesAllLoops(t *testing.T) {
	w := newWorld(t, 3, hub.Tenant{})
	sender := w.openAs(0, auth.Identity{User: "ann", Permissions: everything, Groups: []string{"g"}}, wire.JSONv1{})
	near, far, other := w.open(0, "g"), w.open(1, "g"), w.open(1, "h")

	sender.say(`{"type":"sendToGroup","group":"g","data":{"a": 1.50},"ackId":1}`)
	message := string(wire.JSONv1{}.AppendMessage(nil, &wire.Message{
		Group: "g", FromUser: "ann", DataType: wire.JSON, Data: []byte(`{"a": 1.50}`),
	}))
	equal(t, "sender", sender.link.take(), []string{message, `{"type":"ack","ackId":1,"success":true}`})
	equal(t, "same loop", near.link.take(), []string{message})
	equal(t, "other loop, before its task", far.link.take(), nil)
	if n := len(w.loops[1].tasks); n != 1 {
		t.Errorf("%d tasks for a loop with members, want 1", n)
	}
	if n := len(w.loops[2].tasks); n != 0 {
		t.Errorf("%d tasks for a loop without members", n)
	}
	w.drain()
	equal(t, "other loop", far.link.take(), []string{message})
	equal(t, "not a member", other.link.take(), nil)
	if s := w.hub.Stats(); s.Published != 1 || s.Delivered != 3 {
		t.Errorf("stats %+v", s)
	}
}

func TestNoEcho(t *testing.T) {
	w := newWorld(t, 2, hub.Tenant{})
	a, b, c := w.open(0, "g"), w.open(0, "g"), w.open(1, "g")
	a.say(`{"type":"sendToGroup","group":"g","dataType":"text","data":"x","noEcho":true}`)
	w.drain()
	equal(t, "sender", a.link.data(t), nil)
	equal(t, "same loop", b.link.data(t), []string{"x"})
	equal(t, "other loop", c.link.data(t), []string{"x"})
}

func TestSenderNeedNotBeAMember(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{})
	a, b := w.open(0), w.open(0, "g")
	a.send("g", "x")
	equal(t, "sender", a.link.data(t), nil)
	equal(t, "member", b.link.data(t), []string{"x"})
}

// TestMembershipAtPublication says who gets a publication that is on its way to
// another loop: those who were members when it was made, and still are.
func TestMembershipAtPublication(t *testing.T) {
	w := newWorld(t, 2, hub.Tenant{})
	sender := w.open(0)
	stays, leaves, rejoins, dies, joins := w.open(1, "g"), w.open(1, "g"), w.open(1, "g"), w.open(1, "g"), w.open(1)

	sender.send("g", "1")
	leaves.leave("g")
	rejoins.leave("g")
	rejoins.join("g")
	dies.Closed()
	joins.join("g")
	sender.send("g", "2")
	w.drain()

	equal(t, "stays", stays.link.data(t), []string{"1", "2"})
	equal(t, "leaves", leaves.link.data(t), nil)
	equal(t, "rejoins", rejoins.link.data(t), []string{"2"})
	equal(t, "dies", dies.link.data(t), nil)
	equal(t, "joins", joins.link.data(t), []string{"2"})
}

// TestNoGapAroundJoin has a group's roster on a loop run empty between two
// publications: the second is not sent to the loop, so a session that joins while
// the first is on its way must not get that one either.
func TestNoGapAroundJoin(t *testing.T) {
	w := newWorld(t, 2, hub.Tenant{})
	sender, early, late := w.open(0, "g"), w.open(1, "g"), w.open(1)
	sender.send("g", "1")
	early.leave("g")
	sender.send("g", "2")
	late.join("g")
	sender.send("g", "3")
	w.drain()
	equal(t, "messages", late.link.data(t), []string{"3"})
}

// TestGroupRemovedOnTheWay has the last member leave and the group made anew.
func TestGroupRemovedOnTheWay(t *testing.T) {
	w := newWorld(t, 2, hub.Tenant{})
	sender, a := w.open(0), w.open(1, "g")
	sender.send("g", "1")
	a.leave("g")
	a.join("g")
	sender.send("g", "2")
	w.drain()
	equal(t, "messages", a.link.data(t), []string{"2"})
}

func TestFullInbox(t *testing.T) {
	w := newWorld(t, 3, hub.Tenant{})
	a, full1, full2, free := w.open(0, "g"), w.open(1, "g"), w.open(1, "g"), w.open(2, "g")
	w.loops[1].full = true
	a.say(`{"type":"sendToGroup","group":"g","dataType":"text","data":"x","ackId":5,"noEcho":true}`)
	equal(t, "answer", a.link.take(), []string{
		`{"type":"ack","ackId":5,"success":false,"error":{"name":"InternalServerError","message":"overloaded, try again"}}`})
	a.say(`{"type":"sendToGroup","group":"g","dataType":"text","data":"y","noEcho":true}`)
	equal(t, "answer without an ackId", a.link.take(), nil)
	w.loops[1].full = false
	w.drain()
	equal(t, "free loop", free.link.data(t), []string{"x", "y"})
	equal(t, "full loop", append(full1.link.data(t), full2.link.data(t)...), nil)

	s := w.hub.Stats()
	if d, r := count(t, s.Dropped, "loop_overloaded"), count(t, s.Refused, "overloaded"); d != 4 || r != 2 || s.Delivered != 2 {
		t.Errorf("%d copies dropped, %d requests refused, %d copies delivered, want 4, 2, 2", d, r, s.Delivered)
	}
}

func TestRefusingLink(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{})
	a, slow, b := w.open(0, "g"), w.open(0, "g"), w.open(0, "g")
	slow.link.full = true
	a.send("g", "x")
	equal(t, "neighbour", b.link.data(t), []string{"x"})
	if s := w.hub.Stats(); s.Delivered != 2 || count(t, s.Dropped, "link_refused") != 1 {
		t.Errorf("stats %+v", s)
	}
}

// tongue is a second grammar: JSON with a prefix, which counts its encodings.
type tongue struct {
	wire.JSONv1
	encoded *int
}

func (g tongue) Name() string { return "tongue" }

func (g tongue) AppendMessage(dst []byte, m *wire.Message) []byte {
	*g.encoded++
	return append(append(dst, "tongue "...), m.Data...)
}

func (g tongue) Offsets() wire.Grammar { return g }

// mute is a grammar without acknowledgements and group messages.
type mute struct{ wire.JSONv1 }

func (mute) Name() string                                                      { return "mute" }
func (mute) AppendAck(dst []byte, _ uint64, _ wire.ErrorName, _ string) []byte { return dst }
func (mute) AppendMessage(dst []byte, _ *wire.Message) []byte                  { return dst }

func TestEncodedOncePerGrammarSpoken(t *testing.T) {
	w := newWorld(t, 2, hub.Tenant{})
	encoded := 0
	g := tongue{encoded: &encoded}
	w.node.Speak(g)
	all := auth.Identity{Permissions: everything}
	a, b, c := w.open(0, "g"), w.openAs(0, all, g), w.openAs(1, all, g)

	a.send("g", "1")
	if encoded != 0 {
		t.Errorf("encoded %d times in a grammar that nobody in the group speaks", encoded)
	}
	b.join("g")
	c.join("g")
	b.send("g", "2")
	w.drain()
	if encoded != 1 {
		t.Errorf("encoded %d times for two members on two loops", encoded)
	}
	b.leave("g")
	c.Closed()
	a.send("g", "3")
	if encoded != 1 {
		t.Error("encoded in the grammar of members that have left")
	}
	equal(t, "first grammar", a.link.data(t), []string{"1", "2", "3"})
	equal(t, "second grammar", b.link.take(), []string{"tongue 2"})
	equal(t, "second grammar, other loop", c.link.take(), []string{"tongue 2"})
}

func TestGrammarWithoutAMessage(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{})
	w.node.Speak(mute{})
	a := w.openAs(0, auth.Identity{Permissions: everything, Groups: []string{"g"}}, mute{})
	a.say(`{"type":"sendToGroup","group":"g","data":"x","ackId":1}`)
	equal(t, "messages", a.link.take(), nil)
}

// TestLargeThenSmall reuses the encoding buffer after a message it does not keep.
func TestLargeThenSmall(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{})
	a := w.open(0, "g")
	large := strings.Repeat("x", 100<<10)
	a.send("g", "small")
	a.send("g", large)
	a.send("g", "small")
	equal(t, "messages", a.link.data(t), []string{"small", large, "small"})
}
