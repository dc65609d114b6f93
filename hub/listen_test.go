package hub_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"sluice/auth"
	"sluice/frame"
	"sluice/hub"
	"sluice/hub/wire"
)

// listen opens a session that only receives.
func (w *world) listen(loop int, id auth.Identity, l hub.Listening) (*client, []hub.Recollection, error) {
	w.t.Helper()
	c := &client{link: &fakeLink{}}
	var past []hub.Recollection
	var err error
	c.Session, past, err = w.hub.OpenListener(w.loops[loop], c.link, id, wire.JSONv1{}, l)
	return c, past, err
}

// recalled writes recollections in short.
func recalled(all []hub.Recollection) (text []string) {
	for _, r := range all {
		text = append(text, fmt.Sprintf("%s after %d to %d complete %v", r.Group, r.Before().Offset, r.Offset, r.Complete))
		for _, m := range r.Messages {
			text = append(text, fmt.Sprintf("%d %s", m.Offset, m.Data))
		}
	}
	return text
}

func TestListener(t *testing.T) {
	w := newWorld(t, 2, remembering(3))
	ann := w.open(0)
	for i := range 5 {
		ann.send("a", fmt.Sprint("a", i+1))
	}
	ann.send("b", "b1")
	id := auth.Identity{Groups: []string{"b"}}
	all := auth.Identity{Permissions: everything, Groups: []string{"b"}}

	ben, past, err := w.listen(1, all, hub.Listening{Groups: []string{"a", "b", "a"}, MaxPlaces: 9})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "for the first time", recalled(past), []string{"a after 5 to 5 complete true", "b after 1 to 1 complete true"})
	if got := ben.link.take(); len(got) != 1 || !strings.Contains(got[0], "connected") {
		t.Errorf("meanwhile it got %q", got)
	}
	ann.send("a", "a6")
	w.drain()
	equal(t, "live", lines(ben.remembered(t)), []string{"6 a6"})

	// Without a role, the groups of the identity are told places too.
	places := []hub.Place{past[0].Before(), past[1].Before()}
	ann.send("b", "b2")
	_, past, err = w.listen(0, id, hub.Listening{Returns: true, After: places, MaxPlaces: 9})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "the groups of the identity", recalled(past), []string{"b after 1 to 2 complete true", "2 b2"})

	for _, tt := range []struct {
		name  string
		after []hub.Place
		most  int
		want  []string
	}{
		{"back", places, 9, []string{"a after 5 to 6 complete true", "6 a6", "b after 1 to 2 complete true", "2 b2"}},
		{"back, one place", places, 1, []string{"a after 5 to 6 complete true", "6 a6"}},
		{"back, from too long ago", []hub.Place{{places[0].Epoch, 1}, {places[1].Epoch, 2}}, 9,
			[]string{"a after 3 to 6 complete false", "4 a4", "5 a5", "6 a6", "b after 2 to 2 complete true"}},
		{"back, from elsewhere", []hub.Place{{"other", 6}}, 9,
			[]string{"a after 3 to 6 complete false", "4 a4", "5 a5", "6 a6", "b after 0 to 2 complete false", "1 b1", "2 b2"}},
		{"back, from the future", []hub.Place{{places[0].Epoch, 1<<64 - 1}, {places[1].Epoch, 60}}, 9,
			[]string{"a after 3 to 6 complete false", "4 a4", "5 a5", "6 a6", "b after 2 to 2 complete true"}},
	} {
		_, past, err := w.listen(1, all, hub.Listening{Groups: []string{"a"}, Returns: true, After: tt.after, MaxPlaces: tt.most})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, tt.name, recalled(past), tt.want)
	}

	_, _, err = w.listen(0, id, hub.Listening{Groups: []string{"a"}})
	if e, ok := err.(*frame.Error); !ok || e.Code != frame.ClosePolicyViolation {
		t.Errorf("without the role: %v", err)
	}
	if got := w.hub.Stats().Sessions; got != 8 {
		t.Errorf("%d sessions", got)
	}
	if err := w.hub.Check(); err != nil {
		t.Error(err)
	}
}

// TestListenerOnTheWay: what is on its way to the loop when a listener comes came
// before it, and is told once and only to one who was here before.
func TestListenerOnTheWay(t *testing.T) {
	w := newWorld(t, 2, remembering(100))
	ann, ben := w.open(0), w.open(1, "g")
	for i := range 4 {
		ann.send("g", fmt.Sprint("m", i+1)) // posted to ben's loop, and not run
	}
	c, past, err := w.listen(1, auth.Identity{Groups: []string{"g"}}, hub.Listening{MaxPlaces: 1})
	if err != nil {
		t.Fatal(err)
	}
	c.link.take()
	ann.send("g", "m5")
	w.drain()
	equal(t, "past", recalled(past), []string{"g after 4 to 4 complete true"})
	_, past, err = w.listen(1, auth.Identity{Groups: []string{"g"}}, hub.Listening{
		MaxPlaces: 1, Returns: true, After: []hub.Place{{Epoch: past[0].Epoch, Offset: 3}},
	})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "past of one who was here", recalled(past), []string{"g after 3 to 5 complete true", "4 m4", "5 m5"})
	equal(t, "live", lines(c.remembered(t)), []string{"5 m5"})
	if len(ben.link.take()) != 5 {
		t.Error("another member did not get all")
	}
}

// TestListenerIsExact has back ends publish on live loops while listeners come, break
// off and come back with their place, each time on another loop: over all its lives
// each gets every message after its first, once and in order.
func TestListenerIsExact(t *testing.T) {
	const loops, publishers, each, listeners, lives = 3, 4, 300, 8, 20
	node := hub.New(hub.Config{Hubs: map[string]hub.Tenant{"chat": {HistoryMessages: publishers * each, HistoryBytes: 1 << 20}}}, loops)
	h, _ := node.Hub("chat")
	var live []*liveLoop
	for i := range loops {
		live = append(live, startLoop(t, i))
	}
	on(live[0], func() { // the group lasts, and so does its epoch
		if _, err := h.Open(live[0], &fakeLink{}, auth.Identity{Groups: []string{"g"}}, wire.JSONv1{}); err != nil {
			t.Error(err)
		}
	})
	var publishing, listening sync.WaitGroup
	for p := range publishers {
		publishing.Go(func() {
			for i := range each {
				h.SendToGroup("g", text(fmt.Sprint(p, i)), hub.Selection{})
			}
		})
	}
	for i := range listeners {
		listening.Go(func() {
			l := listener{t: t, hub: h}
			for life := range lives {
				if life == lives-1 {
					publishing.Wait()
				}
				l.live(live[(i+life)%loops])
			}
			if l.place.Offset != publishers*each {
				t.Errorf("listener %d ends at offset %d, want %d", i, l.place.Offset, publishers*each)
			}
		})
	}
	listening.Wait()
	for _, l := range live {
		l.stop()
	}
}

// listener is a client over its lives.
type listener struct {
	t     *testing.T
	hub   *hub.Hub
	place hub.Place
}

// on runs something on a loop and waits for it.
func on(l *liveLoop, f func()) {
	done := make(chan struct{})
	l.Post(taskFunc(func() { defer close(done); f() }))
	<-done
}

// live comes, is there for a few turns of the loop, and goes.
func (l *listener) live(loop *liveLoop) {
	c := &client{link: &fakeLink{}}
	on(loop, func() {
		w := hub.Listening{MaxPlaces: 1, Returns: l.place.Epoch != "", After: []hub.Place{l.place}}
		s, past, err := l.hub.OpenListener(loop, c.link, auth.Identity{Groups: []string{"g"}}, wire.JSONv1{}, w)
		if err != nil || len(past) != 1 || !past[0].Complete {
			l.t.Errorf("%v, %v", past, err)
			return
		}
		if c.Session = s; l.place.Epoch == "" {
			l.place = past[0].Before()
		}
		for _, m := range past[0].Messages {
			l.hear(m.Offset)
		}
	})
	for range 3 {
		on(loop, func() {})
	}
	on(loop, func() {
		if c.Session == nil {
			return
		}
		c.Closed()
		for _, v := range c.remembered(l.t) {
			if v.Type == "message" {
				l.hear(v.Offset)
			}
		}
	})
}

func (l *listener) hear(offset uint64) {
	if offset != l.place.Offset+1 {
		l.t.Errorf("offset %d comes after %d", offset, l.place.Offset)
	}
	l.place.Offset = offset
}
