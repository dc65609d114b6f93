package api

import (
	"net"
	"net/http"
	"testing"
)

// TestIdlers: the one that has been silent for longest goes first, and none whose
// next request has begun.
func TestIdlers(t *testing.T) {
	evicted := 0
	s := NewServer(ServerOptions{MaxIdle: 2, Evicted: func() { evicted++ }})
	conns := make([]*watchedConn, 6)
	for i := range conns {
		near, far := net.Pipe()
		defer far.Close()
		conns[i] = &watchedConn{Conn: near, server: s}
	}
	expect := func(closed ...int) {
		t.Helper()
		for i, c := range conns {
			want := true
			for _, j := range closed {
				want = want && i != j
			}
			if c.leave.Load() == want {
				t.Errorf("connection %d to leave: %v", i, want)
			}
		}
		if evicted != len(closed) {
			t.Errorf("%d evictions counted, want %d", evicted, len(closed))
		}
	}
	followState(conns[0], http.StateIdle)
	followState(conns[1], http.StateIdle)
	expect()
	followState(conns[2], http.StateIdle)
	expect(0)
	conns[1].toCome.Store(0) // its next request has begun
	followState(conns[3], http.StateIdle)
	expect(0, 2)
	followState(conns[1], http.StateActive)
	followState(conns[4], http.StateIdle)
	expect(0, 2)
	followState(conns[3], http.StateClosed)
	followState(conns[5], http.StateIdle)
	followState(conns[1], http.StateIdle)
	expect(0, 2, 4)
}
