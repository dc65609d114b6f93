package engine

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"sluice/engine/wheel"
	"sluice/frame"
	"sluice/internal/budget"
	"sluice/internal/metrics"
)

// Task is work for a loop. Run is called once on the loop's goroutine and must
// not block.
type Task = interface{ Run() }

const (
	// tasksPerTurn and flushesPerTurn bound what one turn of the bell does
	// before the loop looks at its sockets again.
	tasksPerTurn   = 256
	flushesPerTurn = 4096

	// fewDirty is how many connections an event may leave dirty to have them
	// flushed at its end. With more the bell is cheap, and what others send to
	// the same connections meanwhile leaves in the same writes.
	fewDirty = 16

	// wheelSlots times the tick is how far ahead a deadline is exact in the
	// wheel's own terms; one further away is looked at once per turn.
	wheelSlots = 1024
)

// Loop is one event loop: a gnet client of its own with a single poller, and
// everything its goroutine owns. See DESIGN.md for a turn of the loop.
type Loop struct {
	// static after start
	engine *Engine
	index  int
	client *gnet.Client
	bell   net.Conn // our end of a socket pair; a byte written here wakes the loop
	log    *slog.Logger

	// static; the loop's parts of the metrics
	handshakes, lag, latency *metrics.Recorder

	// owned by the loop
	poller    gnet.EventLoop // known from the first connection on, the bell's
	conns     []*Conn        // every connection of the loop; Conn.slot is its index
	wheel     *wheel.Wheel[Conn, *Conn]
	now       wheel.Tick
	codec     *frame.Codec
	dirty     []*Conn           // have something to do at the end of the turn, in the order in which they got it
	parked    map[*Conn]*parked // handshakes that wait to be judged; see wait.go
	held      []*Conn           // have input that waits for a turn; see work.go
	work      uint64            // messages queued for clients, ever
	backlog   []*Conn           // have a backlog, or had one at the last tick; see budget.go
	queued    int64             // bytes in these
	series    *series           // what was sent last to more than one connection, or could be
	spare     *series           // one that nobody uses, nil for none
	current   *Conn             // whose event is being handled: it is flushed at its end
	turning   bool              // within onBell or onTraffic, which look at their end for what is left to do
	exceeded  []*budget.Budget  // seen over their limits, to be acted upon
	seen      counters          // folded into the node's metrics once per tick
	heads     headParser
	buffers   buffers
	waitings  freeList[waiting]
	backlogs  freeList[backlog]
	drain     drain
	watch     stopwatch
	iov       [1][]byte // scratch for Writev
	plain     []byte    // scratch for what is decrypted; nil before the first TLS client
	sealed    []byte    // scratch for what is encrypted
	sealedIOV [1][]byte
	attrs     []slog.Attr // scratch for log lines

	// shared with every goroutine
	inbox  inbox
	rung   atomic.Bool  // a byte is on its way to the loop
	ticked atomic.Int64 // when the tick that is due was posted, as Engine.nanos; 0 for none
	placed atomic.Int32 // connections on their way here or here, for choosing a loop

	arrivals chan *arrival // sockets that other loops send here
	arriving atomic.Int32  // of them, those not enrolled yet

	relieving atomic.Bool // a relief is in the inbox

	handled atomic.Int64 // when the latest tick was handled, as Engine.nanos
	lastLag atomic.Int64 // how late, in nanoseconds
}

// Index returns the number of the loop, from 0, in its engine.
func (l *Loop) Index() int { return l.index }

// Post gives the loop a task. Tasks run in the order in which they were
// posted. It may be called from any goroutine after Engine.Start and does not
// block. False means that the task will not run, because the inbox is full or
// the engine has stopped (counted); true means that it will, unless the engine
// stops before.
func (l *Loop) Post(t Task) bool {
	if !l.inbox.put(t) {
		l.engine.metrics.LoopTasksRejected.Inc()
		return false
	}
	l.ring()
	return true
}

// ring wakes the loop: the bell's byte is an ordinary readable event, so the
// tasks wait for the sockets that became readable before it and the other way
// round. gnet's Execute would not do: what is queued while its tasks run is
// run before any socket is looked at, so a loop that feeds itself would starve
// its readers.
func (l *Loop) ring() {
	if l.rung.CompareAndSwap(false, true) {
		// The only error is a closed bell after stop: nobody is there to wake.
		_, _ = l.bell.Write(bellByte)
	}
}

var bellByte = []byte{1}

// bellTag is the gnet context of the loop's end of the bell.
type bellTag struct{}

// start runs the poller and connects the bell.
func (l *Loop) start() error {
	client, err := gnet.NewClient(&events{loop: l},
		gnet.WithNumEventLoop(1),
		gnet.WithTCPNoDelay(gnet.TCPDelay), // Go's Accept has set TCP_NODELAY
		gnet.WithReadBufferCap(64<<10),
		gnet.WithWriteBufferCap(64<<10),
		gnet.WithLogger(gnetLogger{l.log}))
	if err != nil {
		return fmt.Errorf("engine: make loop %d: %w", l.index, err)
	}
	if err := client.Start(); err != nil {
		return fmt.Errorf("engine: start loop %d: %w", l.index, err)
	}
	l.client = client
	l.handled.Store(l.engine.nanos())
	ours, theirs, err := socketPair()
	if err == nil {
		l.bell = ours
		_, err = client.EnrollContext(theirs, bellTag{})
	}
	if err != nil {
		if ours != nil {
			_ = ours.Close()
		}
		_ = client.Stop()
		return fmt.Errorf("engine: connect the bell of loop %d: %w", l.index, err)
	}
	return nil
}

// stop ends the poller; connections still open are closed without ceremony.
// Acceptors must have ended before: gnet never answers an enrolment that comes
// after.
func (l *Loop) stop() error {
	l.inbox.close()
	err := l.client.Stop()
	_ = l.bell.Close()
	// The goroutine of the loop is gone: its things are ours now.
	for _, c := range l.dirty {
		c.detach()
	}
	l.foldCounters()
	return err
}

func socketPair() (a, b net.Conn, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	if a, err = fileConn(fds[0]); err != nil {
		_ = unix.Close(fds[1])
		return nil, nil, err
	}
	if b, err = fileConn(fds[1]); err != nil {
		_ = a.Close()
		return nil, nil, err
	}
	return a, b, nil
}

func fileConn(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "bell")
	defer f.Close()
	return net.FileConn(f)
}

// tick is called by the engine's clock, from its goroutine.
func (l *Loop) tick() {
	l.ticked.CompareAndSwap(0, l.engine.nanos())
	l.ring()
}

// nextTurn sees that there is a turn, for what the loop has given itself to do.
// No bell is needed within one: it looks by itself before it ends.
func (l *Loop) nextTurn() {
	if !l.turning {
		l.ring()
	}
}

// onBell is one turn: time, tasks, input that waits, output, in this order, each
// bounded.
func (l *Loop) onBell() {
	// First: what is posted from here on rings again.
	l.rung.Store(false)
	l.turning = true
	if l.takeTick() {
		l.onTick()
	}
	limit := l.work + workPerTurn
	more := l.runTasks(limit)
	more = l.resumeHeld(limit) || more
	more = l.flushDirty() || more
	l.turning = false
	if more {
		l.ring()
	}
}

func (l *Loop) onTick() {
	defer l.recover(nil)
	l.now = l.engine.clock()
	l.wheel.Advance(l.now, l.onDeadline)
	l.checkBacklogs()
	l.buffers.age()
	l.drain.post()
	l.foldCounters()
}

// runTasks runs a bounded number of tasks, until the loop's work has reached
// limit, and tells whether there may be more.
func (l *Loop) runTasks(limit uint64) (more bool) {
	for range tasksPerTurn {
		if l.work >= limit {
			return true
		}
		t := l.inbox.take()
		if t == nil {
			return false
		}
		l.runTask(t)
	}
	return true
}

func (l *Loop) runTask(t Task) {
	defer l.recover(nil)
	t.Run()
}

// recover keeps a panic from ending the node: it costs the connection it
// happened on, if there is one. Deferred by everything gnet calls.
func (l *Loop) recover(c *Conn) {
	r := recover()
	if r == nil {
		return
	}
	l.engine.metrics.Panics.Inc()
	l.engine.logPanic(l.log, "on an event loop", r, debug.Stack())
	switch {
	case c == nil:
	case c.state == stateHead:
		c.refuse(&Refusal{Status: http.StatusInternalServerError, Label: CauseInternalError.String(),
			Reason: "internal error"}, nil)
	default:
		c.fail(CauseInternalError, frame.CloseInternalError, "internal error")
	}
}

// add gives the connection its slot.
func (l *Loop) add(c *Conn) {
	c.slot = int32(len(l.conns))
	l.conns = append(l.conns, c)
}

// remove frees the slot; the last connection moves into it.
func (l *Loop) remove(c *Conn) {
	last := len(l.conns) - 1
	moved := l.conns[last]
	l.conns[c.slot], moved.slot = moved, c.slot
	l.conns[last] = nil
	l.conns = l.conns[:last]
}

// after returns the tick at which d has passed, at least the next one.
func (l *Loop) after(d time.Duration) wheel.Tick {
	return l.now + l.engine.ticks(d)
}

// events is what gnet calls, all of it on the loop's goroutine.
type events struct {
	gnet.BuiltinEventEngine
	loop *Loop
}

// OnOpen takes a connection that an acceptor has enrolled, one that another loop
// has sent, one that has a history, or the bell.
func (e *events) OnOpen(gc gnet.Conn) (out []byte, action gnet.Action) {
	switch v := gc.Context().(type) {
	case *Conn:
		defer e.loop.recover(v)
		v.opened(e.loop.behind(gc, nil))
	case *arrival:
		defer e.loop.recover(v.conn)
		v.conn.openedAfter(gc, v.over)
		e.loop.onArrival(v)
	case *incoming:
		defer e.loop.recover(v.conn)
		v.conn.openedAfter(gc, v.over)
		e.loop.onIncoming(v)
	default:
		e.loop.poller = gc.EventLoop()
	}
	return nil, gnet.None
}

// OnTraffic takes what a socket has to read. Everything is consumed: bytes
// left to gnet would cost a ring buffer of 1 KiB for each connection.
func (e *events) OnTraffic(gc gnet.Conn) gnet.Action {
	defer e.loop.recover(nil)
	// Taken before it is handled, so that no panic leaves it behind. Nothing
	// was left over from last time, so this is the loop's own read buffer.
	p, _ := gc.Next(-1)
	switch v := gc.Context().(type) {
	case *Conn:
		e.loop.onTraffic(v, p)
	case *session:
		v.onTraffic(p)
	default:
		e.loop.onBell()
	}
	return gnet.None
}

// OnClose comes exactly once for every connection that was opened, whoever
// closed it.
func (e *events) OnClose(gc gnet.Conn, err error) gnet.Action {
	defer e.loop.recover(nil)
	switch v := gc.Context().(type) {
	case *Conn:
		v.closed(err)
	case *session:
		v.conn.closed(err)
	}
	return gnet.None
}

// onTraffic handles one read of one connection and sends what it produced.
// The buffer is the loop's, valid until this returns.
func (l *Loop) onTraffic(c *Conn, p []byte) {
	l.turning = true
	l.current = c
	l.read(c, p)
	l.current = nil
	l.flush(c)
	if len(l.dirty) <= fewDirty {
		l.flushDirty()
	}
	l.turning = false
	if len(l.dirty) > 0 || len(l.held) > 0 {
		l.ring()
	}
}

func (l *Loop) read(c *Conn, p []byte) {
	defer l.recover(c)
	c.countReceived(0, len(p))
	c.alive()
	if c.state == stateHead && !c.has(flagWaiting) {
		p = c.readHead(p)
	}
	switch {
	case c.has(flagWaiting):
		c.keepEarly(p)
	case c.has(flagHeld):
		c.hold(p)
	case len(p) > 0:
		c.readFrames(p, l.work+workPerTurn)
	}
}

// gnetLogger passes gnet's own words on; it reports nothing we do not already
// see as an error or a close, so all of it is debug.
type gnetLogger struct{ log *slog.Logger }

func (g gnetLogger) Debugf(format string, args ...any) { g.debug(format, args) }
func (g gnetLogger) Infof(format string, args ...any)  { g.debug(format, args) }
func (g gnetLogger) Warnf(format string, args ...any)  { g.debug(format, args) }
func (g gnetLogger) Errorf(format string, args ...any) { g.debug(format, args) }
func (g gnetLogger) Fatalf(format string, args ...any) { g.debug(format, args) }

func (g gnetLogger) debug(format string, args []any) {
	g.log.Debug("gnet: " + fmt.Sprintf(format, args...))
}
