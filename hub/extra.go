package hub

import (
	"time"

	"sluice/engine/wheel"
)

// extra is what only some sessions have. A session gets it when it first needs
// any of it and keeps it. Owned by the session's loop.
type extra struct {
	timer   wheel.Node[extra]
	session *Session

	tokenID string // jti of the token, "" for none
	own     exceptions

	// pipe is the group to which a raw client publishes all it says; nil for
	// none.
	pipe []byte

	reliable *reliable // nil where the session ends with its connection
	streams  []stream  // those that are under way

	// notice is when the client is to hear that its token expires; 0 for never.
	notice wheel.Tick
	// wantsNotice: it has asked for that.
	wantsNotice bool

	pipeNoEcho bool // it does not get what it publishes to its pipe
}

// WheelNode gives the lane's wheel its place in the extra.
func (x *extra) WheelNode() *wheel.Node[extra] { return &x.timer }

// seldom returns the session's extra, making it if need be.
func (s *Session) seldom() *extra {
	if s.extra == nil {
		s.extra = &extra{session: s}
	}
	return s.extra
}

// arm puts the session on the wheel for the earliest of its deadlines.
func (x *extra) arm() {
	w := x.session.lane.wheel
	due := x.notice
	if x.reliable != nil {
		now := x.session.hub.node.tickAt(x.session.hub.node.now())
		if r := x.reliable.due(now); r != 0 && (due == 0 || r < due) {
			due = r
		}
	}
	for i := range x.streams {
		if t := x.streams[i].until; due == 0 || t < due {
			due = t
		}
	}
	if due == 0 {
		w.Disarm(x)
		return
	}
	w.Arm(x, due)
}

// onDeadline is called by the lane's wheel when the earliest deadline has come.
func (x *extra) onDeadline() {
	s := x.session
	now := s.hub.node.tickAt(s.hub.node.now())
	if x.notice != 0 && now >= x.notice {
		s.tokenExpiring()
	}
	s.endSilent(now)
	if x.reliable != nil {
		x.reliable.overdue(s, now)
	}
	if !s.is(flagGone) {
		x.arm()
	}
}

// The deadlines of sessions are seconds apart at least, so a wheel with a tick
// of a second does, and one turn of it covers the longest that is common.
const (
	tick       = time.Second
	wheelSlots = 512
)

// Tick lets the deadlines of sessions come. It is to be called about once a
// second, from any goroutine, and does not wait: each loop looks by itself.
func (n *Node) Tick() {
	n.late.retry()
	n.pasts.sweep(n.now().UnixNano())
	for i := range n.lanes {
		l := &n.lanes[i]
		if l.ready.Load() && l.ticking.CompareAndSwap(false, true) && !l.loop.Post(l) {
			l.ticking.Store(false)
		}
	}
}

// Run is the task of a tick.
func (l *lane) Run() {
	l.ticking.Store(false)
	l.wheel.Advance(l.node.tickAt(l.node.now()), (*extra).onDeadline)
}

// tickAt returns the tick that is running at t. It is never 0, which stands for
// "never".
func (n *Node) tickAt(t time.Time) wheel.Tick {
	const most = 1 << 30 // 34 years: a token may say that it is valid for a thousand
	return 1 + wheel.Tick(min(max(t.Sub(n.started)/tick, 0), most))
}

// tickAfter returns the first tick that begins at t or after it.
func (n *Node) tickAfter(t time.Time) wheel.Tick { return n.tickAt(t.Add(tick - 1)) }
