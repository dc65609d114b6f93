package engine

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/engine/wheel"
	"sluice/frame"
	"sluice/internal/metrics"
	"sluice/internal/testkit"
)

// timed is a configuration in round figures.
var timed = Config{
	HeartbeatInterval: 20 * time.Second,
	PongTimeout:       5 * time.Second,
	AssemblyTimeout:   30 * time.Second,
	HandshakeTimeout:  10 * time.Second,
	CloseTimeout:      time.Second,
}

var (
	ping = testkit.MaskedFrame(0x89, nil)
	pong = testkit.MaskedFrame(0x8a, nil)
	text = testkit.MaskedFrame(0x81, []byte("hello"))
)

// pings counts the pings the client got and fails on anything else.
func pings(t *testing.T, gc *fakeConn) int {
	t.Helper()
	all := gc.frames(t)
	for _, ev := range all {
		if ev.Kind != frame.KindPing || len(ev.Payload) != 0 {
			t.Errorf("got %+v, want a ping", ev)
		}
	}
	return len(all)
}

func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(timed, echo)
		c, gc := r.open()
		pinged := func() (after time.Duration) {
			t.Helper()
			from := time.Now()
			for gc.writes == 0 && time.Since(from) < time.Minute {
				r.wait(r.engine.cfg.tick)
			}
			if n := pings(t, gc); n != 1 {
				t.Fatalf("%d pings", n)
			}
			return time.Since(from)
		}
		answers := [][]byte{pong, text, ping, text[:1], text[1:], pong} // anything will do
		for i := range 10 {
			if after := pinged(); after < 15*time.Second || after > 20100*time.Millisecond {
				t.Fatalf("pinged after %v", after)
			}
			r.wait(4900 * time.Millisecond)
			gc.receive(bytes.Clone(answers[min(i, len(answers)-1)]))
			gc.take()
		}
		pinged()
		r.wait(4900 * time.Millisecond)
		if c.state != stateOpen {
			t.Fatalf("state %d, cause %s", c.state, c.cause)
		}
		r.wait(200 * time.Millisecond)
		if got := gc.frames(t); len(got) != 1 || got[0].Code != frame.CloseGoingAway {
			t.Errorf("got %+v, want a close", got)
		}
		if c.state != stateClosed || c.cause != CauseHeartbeatTimeout || r.engine.metrics.HeartbeatTimeouts.Get() != 1 {
			t.Errorf("state %d, cause %s", c.state, c.cause)
		}
	})
}

// TestHeartbeatPatient: where a client has longer to answer than the time between
// pings, one that has answered is pinged again in time, and one that has not is
// not pinged twice.
func TestHeartbeatPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := timed
		cfg.PongTimeout = 10 * time.Minute
		r := newRig(cfg, echo)
		c, gc := r.open()
		for range 5 {
			r.wait(36 * time.Second) // a ping after 15s to 20s, looked at again 15s later
			if n := pings(t, gc); n != 1 {
				t.Fatalf("%d pings in 36s", n)
			}
			gc.receive(bytes.Clone(pong))
		}
		r.wait(20100 * time.Millisecond)
		pings(t, gc)
		r.wait(10*time.Minute - time.Second)
		if n := pings(t, gc); n != 0 || c.state != stateOpen {
			t.Fatalf("%d pings more while one is unanswered; state %d", n, c.state)
		}
		r.wait(2 * time.Second)
		if c.cause != CauseHeartbeatTimeout {
			t.Errorf("cause %s", c.cause)
		}
	})
}

// TestHeartbeatTraffic: who talks is not pinged, whatever is said.
func TestHeartbeatTraffic(t *testing.T) {
	for name, said := range map[string][]byte{"messages": text, "pings": ping, "unasked pongs": pong} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(timed, accept(func(*Conn) (Endpoint, error) { return &endpoint{}, nil }))
				_, gc := r.open()
				for range 20 {
					r.wait(14 * time.Second)
					gc.receive(bytes.Clone(said))
				}
				for _, ev := range gc.frames(t) {
					if ev.Kind != frame.KindPong {
						t.Errorf("got %+v", ev)
					}
				}
			})
		})
	}
}

// TestHeartbeatSpread: clients that came in the same moment are pinged all over
// the last quarter of the interval, about as many at each tick.
func TestHeartbeatSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clients = 2000
		cfg := timed
		cfg.PongTimeout = time.Minute
		r := newRig(cfg, echo)
		var conns []*fakeConn
		for range clients {
			_, gc := r.open()
			conns = append(conns, gc)
		}
		const ticks = 100 // a quarter of the interval
		r.wait(3 * 20 * time.Second / 4)
		pinged, busiest := 0, 0
		for range ticks + 3 {
			n := 0
			for _, gc := range conns {
				if gc.writes > 0 {
					n += pings(t, gc)
				}
			}
			pinged, busiest = pinged+n, max(busiest, n)
			r.wait(r.engine.cfg.tick)
		}
		if pinged != clients || busiest > 2*clients/ticks {
			t.Errorf("%d of %d pinged, %d of them at one tick; evenly it would be %d", pinged, clients, busiest, clients/ticks)
		}
	})
}

func TestIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := timed
		cfg.IdleTimeout = time.Minute
		r := newRig(cfg, accept(func(*Conn) (Endpoint, error) { return &endpoint{}, nil }))
		c, gc := r.open()
		alive := func(what string) {
			t.Helper()
			for range 11 { // 55 seconds
				r.wait(5 * time.Second)
				gc.receive(pong)
			}
			if c.state != stateOpen {
				t.Fatalf("closed in spite of %s", what)
			}
		}
		alive("being new")
		gc.receive(bytes.Clone(text))
		alive("a message from the client")
		c.Write(frame.OpText, []byte("hello"))
		alive("a message to the client")
		gc.take()
		r.wait(5100 * time.Millisecond)
		if got := gc.frames(t); len(got) != 1 || got[0].Code != frame.CloseNormal || c.cause != CauseIdleTimeout {
			t.Errorf("got %+v, cause %s", got, c.cause)
		}
	})
}

func TestExpires(t *testing.T) {
	tests := []struct {
		name          string
		valid         time.Duration
		before, after time.Duration // still open, and closed
	}{
		{"in an hour", time.Hour, time.Hour - 100*time.Millisecond, time.Hour + 100*time.Millisecond},
		{"long ago", -time.Hour, 0, 200 * time.Millisecond},
		{"in a thousand years", 290 * 365 * 24 * time.Hour, time.Hour, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				expires := time.Now().Add(tt.valid)
				if tt.after == 0 {
					expires = expires.AddDate(1000, 0, 0) // beyond what a Duration can say
				}
				cfg := timed
				cfg.HeartbeatInterval = 24 * time.Hour
				r := newRig(cfg, handlerFunc(func(*Conn, *http.Request) (Acceptance, *Refusal) {
					return Acceptance{Expires: expires, Open: func(*Conn) (Endpoint, error) { return &endpoint{}, nil }}, nil
				}))
				c, gc := r.open()
				r.wait(tt.before)
				if c.state != stateOpen {
					t.Fatalf("closed too early: %s", c.cause)
				}
				if tt.after == 0 {
					return
				}
				r.wait(tt.after - tt.before)
				if got := gc.frames(t); len(got) != 1 || got[0].Code != frame.CloseTokenExpired || c.cause != CauseTokenExpired {
					t.Errorf("got %+v, cause %s", got, c.cause)
				}
			})
		})
	}
}

// TestExpireAnew moves the end of a connection, both ways.
func TestExpireAnew(t *testing.T) {
	for _, tt := range []struct {
		name string
		next time.Duration // from the time of the move, 0 for never
		open time.Duration // how long the connection is still open after it
	}{
		{"later", time.Hour, time.Hour - time.Second},
		{"sooner", time.Second, 900 * time.Millisecond},
		{"never", 0, 2 * time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := timed
				cfg.HeartbeatInterval = 24 * time.Hour
				r := newRig(cfg, handlerFunc(func(*Conn, *http.Request) (Acceptance, *Refusal) {
					return Acceptance{Expires: time.Now().Add(time.Minute), Open: func(*Conn) (Endpoint, error) { return &endpoint{}, nil }}, nil
				}))
				c, _ := r.open()
				r.wait(30 * time.Second)
				at := time.Time{}
				if tt.next > 0 {
					at = time.Now().Add(tt.next)
				}
				c.Expire(at)
				r.wait(tt.open)
				if c.state != stateOpen {
					t.Fatalf("closed too early: %s", c.cause)
				}
				if r.wait(2 * time.Second); tt.next > 0 && c.cause != CauseTokenExpired {
					t.Errorf("cause %s", c.cause)
				}
			})
		})
	}
}

func TestAssembly(t *testing.T) {
	hold := testkit.MaskedFrame(0x82, make([]byte, 1000))
	part := testkit.MaskedFrame(0x02, []byte("part"))
	tests := []struct {
		name  string
		begin []byte // leaves something unfinished
		more  []byte // is said every ten seconds, and does not finish it
		stays bool
	}{
		{"header", hold[:1], nil, false},
		{"frame", hold[:500], nil, false},
		{"message", part, nil, false},
		{"frame, a byte at a time", hold[:500], []byte{0}, false},
		{"message, with pings in it", part, ping, false},
		{"message, with a ping right behind its first part", append(part[:len(part):len(part)], ping...), ping, false},
		{"message, with empty fragments", part, testkit.MaskedFrame(0x00, nil), false},
		{"ping", testkit.MaskedFrame(0x89, []byte("ping"))[:8], nil, false},

		// Each of these ends one thing and begins the next.
		{"messages, one after the other", hold[:500], append(hold[500:len(hold):len(hold)], hold[:500]...), true},
		{"message behind a ping", ping[:2], append(append(ping[2:len(ping):len(ping)], part...), append(testkit.MaskedFrame(0x80, nil), ping[:2]...)...), true},
		{"nothing unfinished", hold, hold, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := timed
				cfg.HeartbeatInterval = time.Hour
				r := newRig(cfg, accept(func(*Conn) (Endpoint, error) { return &endpoint{}, nil }))
				c, gc := r.open()
				r.wait(time.Second)
				gc.receive(bytes.Clone(tt.begin))
				for range 12 {
					r.wait(10 * time.Second)
					if tt.more != nil && !gc.closed {
						gc.receive(bytes.Clone(tt.more))
					}
				}
				if tt.stays != (c.state == stateOpen) {
					t.Errorf("state %d, cause %s", c.state, c.cause)
				}
				if !tt.stays && c.cause != CauseAssemblyTimeout {
					t.Errorf("cause %s", c.cause)
				}
			})
		})
	}
}

func TestAssemblyTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := timed
		cfg.HeartbeatInterval = time.Minute
		r := newRig(cfg, echo)
		c, gc := r.open()
		r.wait(10 * time.Second)
		gc.receive([]byte{0x81})
		r.wait(29900 * time.Millisecond)
		if c.state != stateOpen {
			t.Fatalf("closed too early: %s", c.cause)
		}
		r.wait(200 * time.Millisecond)
		if got := gc.frames(t); len(got) != 1 || got[0].Code != frame.ClosePolicyViolation {
			t.Errorf("got %+v", got)
		}
	})
}

func TestHandshakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(timed, echo)
		c, gc := r.connect()
		h := testkit.Head("/")
		for i := range 9 { // bytes do not buy time
			r.wait(time.Second)
			gc.receive([]byte(h[i : i+1]))
		}
		if c.state != stateHead {
			t.Fatalf("state %d: %q", c.state, gc.out)
		}
		r.wait(1100 * time.Millisecond)
		if !strings.HasPrefix(string(gc.out), "HTTP/1.1 408 ") || !gc.closed || r.engine.pending.Load() != 0 {
			t.Errorf("closed: %v, %q", gc.closed, gc.out)
		}
	})
}

// TestTicks: a deadline never comes early by more than the tick during which it
// was set, and never at tick 0, which stands for none.
func TestTicks(t *testing.T) {
	e := New(Config{}, metrics.New(), discard)
	for _, tt := range []struct {
		d    time.Duration
		want wheel.Tick
	}{
		{0, 1}, {time.Millisecond, 1}, {49 * time.Millisecond, 1}, {50 * time.Millisecond, 2}, {time.Second, 21},
		{1<<63 - 1, maxTicks},
	} {
		if got := e.ticks(tt.d); got != tt.want {
			t.Errorf("%v: %d ticks, want %d", tt.d, got, tt.want)
		}
	}
	if e.clock() < firstTick {
		t.Errorf("the clock starts at %d", e.clock())
	}
}
