package swarm

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"sluice/frame"
)

// base is when time begins for all loops of the process, so that what one has
// stamped another can read.
var base = time.Now()

// Now returns the nanoseconds on the clock of all loops.
func Now() int64 { return int64(time.Since(base)) }

// Loop is one event loop with its connections.
type Loop struct {
	// Static after construction.
	swarm  *Swarm
	index  int
	poller *poller

	// Any goroutine.
	mu    sync.Mutex
	inbox []func(*Loop) // guarded by mu
	armed atomic.Bool   // a wake is on its way

	// Owned by the loop.
	conns    []*Conn // by descriptor
	live     int     // connections in conns
	dirty    []*Conn // have something to write at the end of the turn
	buffers  [][]byte
	codec    *frame.Codec
	plain    []byte // what was decrypted; nil before there is any
	scratch  []byte // what a read fills
	timers   timers
	alarm    int64 // when the poller's timer will ring, 0 when it will not
	openings []*opening
	source   int
	counts   Counts
	emptied  []func() // to call when no connection is left
	stopping bool

	// Data is the scenario's, for what the roles on this loop share.
	Data any
}

// readSize is what one read takes at most: a whole broadcast burst of small
// messages, or sixteen large ones.
const readSize = 256 << 10

func newLoop(s *Swarm, index int) (*Loop, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	return &Loop{
		swarm:   s,
		index:   index,
		poller:  p,
		codec:   frame.NewCodec(frame.Config{Client: true, MaxMessageSize: s.cfg.MaxMessageSize}),
		scratch: make([]byte, readSize),
		source:  rand.IntN(1 << 16), // runs one after the other do not meet each other's TIME_WAIT
		counts:  newCounts(),
	}, nil
}

// Index returns which loop of the swarm this is.
func (l *Loop) Index() int { return l.index }

// Post runs f on the loop; from any goroutine. What is posted after Stop is
// dropped.
func (l *Loop) Post(f func(*Loop)) {
	l.mu.Lock()
	l.inbox = append(l.inbox, f)
	l.mu.Unlock()
	if !l.armed.Swap(true) {
		l.poller.wake()
	}
}

// At runs f on the loop when the clock is past due. Call it on the loop.
func (l *Loop) At(due int64, f func(*Loop)) { l.timers.add(due, f) }

// run is the loop's goroutine.
func (l *Loop) run() {
	l.sweep()
	for !l.stopping {
		l.setAlarm()
		n, err := l.poller.wait(l.swarm.cfg.Spin)
		if err != nil {
			panic(fmt.Sprintf("epoll_wait: %v", err)) // only for a broken poller of ours
		}
		for i := range n {
			l.handle(l.poller.event(i))
		}
		l.runPosted()
		now := Now()
		for f := l.timers.take(now); f != nil; f = l.timers.take(now) {
			f(l)
		}
		for l.openMore(); len(l.dirty) > 0; l.openMore() {
			l.flush() // may end connections, which makes room for others
		}
	}
	for _, c := range l.conns {
		if c != nil {
			c.Abort(true)
		}
	}
	_ = l.poller.close()
}

func (l *Loop) setAlarm() {
	if len(l.timers) == 0 || l.timers[0].due == l.alarm {
		return
	}
	l.alarm = l.timers[0].due
	if err := l.poller.arm(time.Duration(l.alarm - Now())); err != nil {
		panic(fmt.Sprintf("timerfd_settime: %v", err))
	}
}

func (l *Loop) handle(fd int, readable, writable bool) {
	if fd < 0 || fd >= len(l.conns) || l.conns[fd] == nil {
		return // the timer, a wake, or a connection that ended earlier in this turn
	}
	c := l.conns[fd]
	if writable {
		c.writable()
	}
	if readable && c.state != ended && c.state != connecting {
		c.readable()
	}
}

func (l *Loop) runPosted() {
	l.armed.Store(false)
	l.mu.Lock()
	posted := l.inbox
	l.inbox = nil
	l.mu.Unlock()
	for _, f := range posted {
		f(l)
	}
}

// flush writes each connection that has something to write once, and goes on
// while that makes others dirty.
func (l *Loop) flush() {
	for i := 0; i < len(l.dirty); i++ {
		l.dirty[i].flush()
		l.dirty[i] = nil
	}
	l.dirty = l.dirty[:0]
}

// sweepInterval is how late a deadline of some seconds may be noticed.
const sweepInterval = 250 * time.Millisecond

// sweep ends connections whose peer does not answer. A look at each of them a
// few times a second costs less than a timer for each.
func (l *Loop) sweep() {
	now := Now()
	for _, c := range l.conns {
		if c != nil && c.deadline != 0 && c.deadline <= now {
			c.finish(End{Reason: "timeout " + c.state.String(), Err: os.ErrDeadlineExceeded}, true)
		}
	}
	l.At(now+int64(sweepInterval), func(l *Loop) { l.sweep() })
}

func (l *Loop) closeAll(done func()) {
	l.emptied = append(l.emptied, done)
	for _, c := range l.conns {
		if c != nil {
			c.Close(frame.CloseNormal)
		}
	}
	l.checkEmpty()
}

func (l *Loop) checkEmpty() {
	if l.live > 0 {
		return
	}
	for _, f := range l.emptied {
		f()
	}
	l.emptied = nil
}

// nextSource returns the address to connect from.
func (l *Loop) nextSource() netip.Addr {
	n := l.swarm.cfg.Sources
	if n == 0 {
		return netip.Addr{}
	}
	l.source++
	i := l.source%n + 2 // 127.0.0.2 and up
	return netip.AddrFrom4([4]byte{127, 0, byte(i >> 8), byte(i)})
}

// buffer returns an empty buffer for output. Connections keep one only while
// they have something to write.
func (l *Loop) buffer() []byte {
	if last := len(l.buffers) - 1; last >= 0 {
		b := l.buffers[last]
		l.buffers = l.buffers[:last]
		return b
	}
	return make([]byte, 0, 4096)
}

// release takes a buffer of buffer back.
func (l *Loop) release(b []byte) {
	if cap(b) <= readSize && len(l.buffers) < 1024 {
		l.buffers = append(l.buffers, b[:0])
	}
}
