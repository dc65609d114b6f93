package engine

import (
	"net/http"
	"slices"
	"testing"

	"sluice/frame"
	"sluice/internal/testkit"
)

// toil is an endpoint whose messages make its loop queue a lot for others, as a
// message to a large group does.
type toil struct {
	loop  *Loop
	seen  *[]string
	turns int // workPerTurn for each message
}

func (e toil) Message(_ frame.Opcode, p []byte) {
	*e.seen = append(*e.seen, string(p))
	e.loop.work += uint64(e.turns) * workPerTurn
}

func (toil) Closed() {}

type toilHandler struct{ seen []string }

func (h *toilHandler) Upgrade(c *Conn, _ *http.Request) (Acceptance, *Refusal) {
	return Acceptance{Open: func(c *Conn) (Endpoint, error) {
		return toil{loop: c.Loop(), seen: &h.seen, turns: 1}, nil
	}}, nil
}

func texts(messages ...string) (b []byte) {
	for _, m := range messages {
		b = append(b, testkit.MaskedFrame(0x81, []byte(m))...)
	}
	return b
}

// TestWorkIsSpread: messages that came in one read, each worth a turn, are
// handled one a turn, in order, with those of others in between.
func TestWorkIsSpread(t *testing.T) {
	h := &toilHandler{}
	r := newRig(Config{}, h)
	c, a := r.open()
	_, b := r.open()
	a.receive(texts("a1", "a2", "a3"))
	if !slices.Equal(h.seen, []string{"a1"}) || r.bell.rings == 0 {
		t.Fatalf("after the event: %q, %d rings", h.seen, r.bell.rings)
	}
	b.receive(texts("b1", "b2"))
	a.receive(texts("a4")) // behind what waits
	for range 5 {
		r.turn()
	}
	if want := []string{"a1", "b1", "a2", "b2", "a3", "a4"}; !slices.Equal(h.seen, want) {
		t.Errorf("got %q, want %q", h.seen, want)
	}
	if c.unread != nil || len(r.held) != 0 || r.bell.rings != 0 {
		t.Errorf("afterwards: %v held, %d rings", r.held, r.bell.rings)
	}
}

// TestHeldInput: a close frame waits for its turn like everything else, input
// that waits is bounded, and a connection that dies leaves nothing behind.
func TestHeldInput(t *testing.T) {
	h := &toilHandler{}
	r := newRig(Config{}, h)
	t.Run("close frame", func(t *testing.T) {
		c, gc := r.open()
		gc.receive(append(texts("1", "2"), testkit.MaskedFrame(0x88, []byte{3, 232})...))
		if c.state != stateOpen {
			t.Fatalf("state %d with a message before the close frame waiting", c.state)
		}
		r.turn()
		r.turn()
		if got := gc.frames(t); len(got) != 1 || got[0].Code != frame.CloseNormal || c.cause != CauseClientClose {
			t.Errorf("cause %s, %+v", c.cause, got)
		}
	})
	t.Run("bound", func(t *testing.T) {
		c, gc := r.open()
		gc.receive(texts("1", "2"))
		for range maxHeld>>16 + 1 {
			if c.state == stateOpen {
				gc.receive(make([]byte, 1<<16))
			}
		}
		r.turn()
		if c.cause != CauseInputBacklog {
			t.Errorf("state %d, cause %s", c.state, c.cause)
		}
	})
	t.Run("death", func(t *testing.T) {
		c, gc := r.open()
		gc.receive(texts("1", "2"))
		gc.hangUp()
		r.turn()
		r.turn()
		if c.unread != nil || len(r.held) != 0 {
			t.Errorf("left: %v", r.held)
		}
	})
}

// busyTask queues a turn's work.
type busyTask struct {
	loop *Loop
	runs *int
}

func (b busyTask) Run() { *b.runs++; b.loop.work += workPerTurn }

// TestTasksShareTheTurn: tasks are bounded by what they queue, not only by
// their number.
func TestTasksShareTheTurn(t *testing.T) {
	r := newRig(Config{}, echo)
	runs := 0
	for range 3 {
		r.Post(busyTask{r.Loop, &runs})
	}
	for want := 1; want <= 3; want++ {
		r.turn()
		if runs != want {
			t.Fatalf("%d tasks after %d turns", runs, want)
		}
	}
}

// TestHeldInputGoesOn: tasks that use up every turn do not keep input waiting
// for ever.
func TestHeldInputGoesOn(t *testing.T) {
	h := &toilHandler{}
	r := newRig(Config{}, h)
	_, gc := r.open()
	gc.receive(texts("1", "2", "3"))
	runs := 0
	for range 2 {
		for range 2 {
			r.Post(busyTask{r.Loop, &runs})
		}
		r.turn()
	}
	if !slices.Equal(h.seen, []string{"1", "2", "3"}) || runs != 2 {
		t.Errorf("%q handled beside %d tasks, want all three beside 2", h.seen, runs)
	}
}
