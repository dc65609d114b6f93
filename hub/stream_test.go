package hub_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/auth"
	"sluice/frame"
	"sluice/hub"
	"sluice/hub/wire"
)

// What the publisher of stream "s" is told, and the members of group "g" get.

func streamAck(expected int) string {
	return fmt.Sprintf(`{"type":"streamAck","streamId":"s","expectedSequenceId":%d}`, expected)
}

func streamClosed(name wire.ErrorName, message string) string {
	return fmt.Sprintf(`{"type":"streamClosed","streamId":"s","error":{"name":%q,"message":%q}}`, name, message)
}

func streamPart(number int, text string) string {
	return fmt.Sprintf(`{"type":"message","from":"group","group":"g","dataType":"text","data":%q,"stream":{"streamId":"s","streamSequenceId":%d}}`, text, number)
}

func streamEnd(number int, failure string) string {
	if failure != "" {
		failure = `,"error":{` + failure + `}`
	}
	return fmt.Sprintf(`{"type":"message","from":"group","group":"g","dataType":"text","data":"","stream":{"streamId":"s","streamSequenceId":%d,"endOfStream":true%s}}`, number, failure)
}

const (
	streamClosedWell = `{"type":"streamClosed","streamId":"s"}`
	startS           = `{"type":"sendToGroup","group":"g","stream":{"streamId":"s"}}`
	endS             = `{"type":"streamEnd","streamId":"s"}`
)

// part sends one part of stream "s".
func (c *client) part(number int, text string) {
	c.say(`{"type":"streamData","streamId":"s","streamSequenceId":%d,"dataType":"text","data":%q}`, number, text)
}

// told compares what a client has got since the last time.
func (c *client) told(t *testing.T, what string, want ...string) {
	t.Helper()
	equal(t, what, c.link.take(), want)
}

func TestStream(t *testing.T) {
	w := newWorld(t, 2, hub.Tenant{})
	a, b := w.open(0), w.open(1, "g")
	a.say(startS)
	a.told(t, "start", streamAck(1))
	a.say(startS)
	a.told(t, "start again, not knowing", streamAck(1))
	a.part(1, "one")
	a.part(2, "two")
	a.told(t, "parts", streamAck(2), streamAck(3))
	a.part(1, "one again")
	a.told(t, "a part again", streamAck(3))
	a.part(5, "five")
	a.told(t, "a part too early",
		`{"type":"streamNack","streamId":"s","expectedSequenceId":3,"name":"InvalidSequenceId","message":"another part of the stream is awaited"}`)
	a.say(endS)
	if got := a.link.take(); len(got) != 1 || !strings.Contains(got[0], "streamNack") {
		t.Errorf("an end before what was refused has come again: %q", got)
	}
	for n := 3; n <= 5; n++ {
		a.part(n, fmt.Sprint(n))
	}
	a.link.take()
	a.say(`{"type":"streamData","streamId":"s"}`)
	a.told(t, "a sign of life")
	a.say(endS)
	a.told(t, "end", streamClosedWell)
	a.part(6, "six")
	a.told(t, "after the end", streamClosed(wire.StreamNotFound, "there is no such stream, or it is over"))
	w.drain()
	b.told(t, "a member", streamPart(1, "one"), streamPart(2, "two"), streamPart(3, "3"), streamPart(4, "4"), streamPart(5, "5"), streamEnd(6, ""))
	for label, want := range map[string]uint64{"stream_out_of_order": 2, "stream_not_found": 1} {
		if n := count(t, w.hub.Stats().Refused, label); n != want {
			t.Errorf("%d counted as %s", n, label)
		}
	}
}

// TestStreamEnds: every way in which a stream ends, for its publisher and for the
// members of the group.
func TestStreamEnds(t *testing.T) {
	for _, c := range []struct {
		name      string
		end       func(w *world, a *client)
		publisher []string
		member    string
	}{
		{"well", func(_ *world, a *client) { a.say(endS) }, []string{streamClosedWell}, ""},
		{"with an error", func(_ *world, a *client) {
			a.say(`{"type":"streamEnd","streamId":"s","error":{"message":"m","userErrorCode":"c"}}`)
		}, []string{streamClosedWell}, `"name":"UserError","message":"m","userErrorCode":"c"`},
		{"with an error and a gap", func(_ *world, a *client) {
			a.part(9, "lost")
			a.link.take()
			a.say(`{"type":"streamEnd","streamId":"s","error":{}}`)
		}, []string{streamClosedWell}, `"name":"UserError","message":""`},
		{"silence", func(w *world, _ *client) { w.wait(11 * time.Second) },
			[]string{streamClosed(wire.IdleTimeout, "nothing came for as long as the stream may be silent")},
			`"name":"IdleTimeout","message":"nothing came for as long as the stream may be silent"`},
		{"a role that is gone", func(w *world, a *client) {
			_ = w.eagerly(func() error { return w.hub.Revoke(t.Context(), a.ID(), auth.SendToGroup, "g") })
			a.part(2, "two")
		}, []string{streamClosed(wire.Forbidden, "no role allows this for the group")},
			`"name":"Forbidden","message":"no role allows this for the group"`},
		{"an overload", func(w *world, a *client) {
			w.loops[2].full = true
			a.part(2, "two")
			w.drain()
			w.hub.SendToGroup("g", text("passes"), hub.Selection{})
		}, []string{streamClosed(wire.InternalServerError, "overloaded, try again")}, "overload"},
		{"the publisher is gone", func(_ *world, a *client) { a.Closed() }, nil,
			`"name":"Cancelled","message":"the publisher is gone"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 3, hub.Tenant{})
			a, b, other := w.open(0), w.open(1, "g"), w.open(2, "g")
			a.say(`{"type":"sendToGroup","group":"g","stream":{"streamId":"s","idleTimeoutMs":10000}}`)
			a.part(1, "one")
			a.link.take()
			w.drain()
			b.link.take()
			c.end(w, a)
			w.drain()
			a.told(t, "publisher", c.publisher...)
			want := []string{streamEnd(2, c.member)}
			if c.member == "overload" { // those on the other loops have got it
				want = []string{streamPart(2, "two"),
					streamEnd(2, `"name":"InternalServerError","message":"overloaded, try again"`),
					`{"type":"message","from":"group","group":"g","dataType":"text","data":"passes"}`}
			}
			b.told(t, "member", want...)
			if c.publisher != nil {
				a.say(endS)
				a.told(t, "it is over", streamClosed(wire.StreamNotFound, "there is no such stream, or it is over"))
				a.Closed()
			}
			if got := b.link.take(); len(got) != 0 {
				t.Errorf("after the end: %q", got)
			}
			other.Closed()
		})
	}
}

// TestStreamIsHeard: each part, and a sign of life, puts the end off.
func TestStreamIsHeard(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{})
	a := w.open(0)
	a.say(`{"type":"sendToGroup","group":"g","stream":{"streamId":"s","idleTimeoutMs":10000}}`)
	a.say(`{"type":"sendToGroup","group":"g","stream":{"streamId":"silent","idleTimeoutMs":20000}}`)
	for i := range 5 {
		a.link.take()
		w.wait(5 * time.Second)
		a.part(i+1, "x")
		w.wait(4 * time.Second)
		a.say(`{"type":"streamData","streamId":"s"}`)
		if i >= 2 { // 20 s and more
			continue
		}
		for _, m := range a.link.take() {
			if strings.Contains(m, "streamClosed") {
				t.Fatalf("round %d: %s", i, m)
			}
		}
	}
	if n := count(t, w.hub.Stats().Refused, "stream_idle"); n != 1 {
		t.Errorf("%d streams were silent, want one", n)
	}
	a.say(endS)
	if got := a.link.take(); len(got) == 0 || got[len(got)-1] != streamClosedWell {
		t.Errorf("got %q", got)
	}
}

func TestStreamRefused(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{})
	a := w.openAs(0, auth.Identity{Permissions: roles("sluice.sendToGroup.g")}, wire.JSONv1{})
	a.say(`{"type":"sendToGroup","group":"other","stream":{"streamId":"s"}}`)
	a.told(t, "without a role", streamClosed(wire.Forbidden, "no role allows this for the group"))
	a.say(startS)
	a.part(1, "one")
	a.link.take()
	a.say(startS)
	a.told(t, "under way", streamClosed(wire.BadRequest, "a stream with this id is under way"))
	a.part(2, "two")
	a.told(t, "which it still is", streamAck(3))
	for i := range hub.MaxStreams - 1 {
		a.say(`{"type":"sendToGroup","group":"g","stream":{"streamId":"%d"}}`, i)
	}
	a.link.take()
	a.say(`{"type":"sendToGroup","group":"g","stream":{"streamId":"one more"}}`)
	if got := a.link.take(); len(got) != 1 || !strings.Contains(got[0], `"streamId":"one more","error":{"name":"BadRequest"`) {
		t.Errorf("one more than allowed: %q", got)
	}
	a.say(endS)
	a.told(t, "end", streamClosedWell)
	a.Closed() // with all the others
}

// TestStreamEcho: a publisher that is a member gets its own parts unless it says
// otherwise.
func TestStreamEcho(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{})
	a := w.open(0, "g")
	a.say(startS)
	a.part(1, "one")
	a.told(t, "with echo", streamAck(1), streamPart(1, "one"), streamAck(2))
	a.say(endS)
	a.link.take()
	a.say(`{"type":"sendToGroup","group":"g","noEcho":true,"stream":{"streamId":"s"}}`)
	a.part(1, "one")
	a.told(t, "without", streamAck(1), streamAck(2))
}

// TestStreamSurvives: a stream goes on when its publisher comes back, and parts
// that it sends again are not published twice.
func TestStreamSurvives(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{})
	a := w.lasting(0, auth.Identity{Permissions: everything})
	b := w.lasting(0, auth.Identity{Groups: []string{"g"}})
	a.say(startS)
	a.part(1, "one")
	a.part(2, "two")
	a.lose()
	b.lose()
	a.mustResume()
	a.part(2, "two")
	a.told(t, "publisher", streamAck(3))
	a.part(3, "three")
	a.say(endS)
	b.mustResume()
	equal(t, "member", b.data, []string{"one", "two", "three", ""})
	a.Left(a.link, false)
}

// TestStreamToRaw: clients without a subprotocol get the bare parts, and nothing
// for an end that has no data.
func TestStreamToRaw(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{})
	link := &fakeLink{}
	if _, err := w.openRaw(link, auth.Identity{Groups: []string{"g"}}, nil); err != nil {
		t.Fatal(err)
	}
	a := w.open(0)
	a.say(startS)
	a.part(1, "one")
	a.say(endS)
	equal(t, "raw client", link.take(), []string{"one"})
}

// TestStreamOfClosing: a client that is being closed does not go on with its
// streams, and its streams end with it.
func TestStreamOfClosing(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{})
	a, b := w.open(0, "g"), w.open(0, "g")
	a.say(startS)
	_ = w.hub.CloseConnection(a.ID(), "enough")
	w.drain()
	a.part(1, "one")
	b.told(t, "before the end")
	a.Closed()
	b.told(t, "after it", streamEnd(1, `"name":"Cancelled","message":"the publisher is gone"`))
	if a.link.code != frame.CloseNormal {
		t.Errorf("closed with %d", a.link.code)
	}
}
