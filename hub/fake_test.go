package hub_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/auth"
	"sluice/frame"
	"sluice/hub"
	"sluice/hub/wire"
)

// stepLoop is a loop whose tasks run when the test says so.
type stepLoop struct {
	index int
	full  bool // Post refuses
	eager bool // Post runs the task at once
	tasks []hub.Task
}

var _ hub.Loop = (*stepLoop)(nil)

func (l *stepLoop) Index() int { return l.index }

func (l *stepLoop) Post(t hub.Task) bool {
	switch {
	case l.full:
		return false
	case l.eager:
		t.Run()
	default:
		l.tasks = append(l.tasks, t)
	}
	return true
}

// step runs the oldest task, if there is one.
func (l *stepLoop) step() bool {
	if len(l.tasks) == 0 {
		return false
	}
	t := l.tasks[0]
	l.tasks = l.tasks[1:]
	t.Run()
	return true
}

func (l *stepLoop) drain() {
	for l.step() {
	}
}

// liveLoop is a loop with a goroutine of its own.
type liveLoop struct {
	index int
	done  chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	wake    sync.Cond
	tasks   []hub.Task // guarded by mu
	stopped bool       // guarded by mu
}

var _ hub.Loop = (*liveLoop)(nil)

func startLoop(t *testing.T, index int) *liveLoop {
	l := &liveLoop{index: index, done: make(chan struct{})}
	l.wake.L = &l.mu
	go l.serve()
	t.Cleanup(l.stop)
	return l
}

func (l *liveLoop) Index() int { return l.index }

func (l *liveLoop) Post(t hub.Task) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return false
	}
	l.tasks = append(l.tasks, t)
	l.wake.Signal()
	return true
}

// stop lets the loop finish what it has and waits for it.
func (l *liveLoop) stop() {
	l.mu.Lock()
	l.stopped = true
	l.wake.Signal()
	l.mu.Unlock()
	<-l.done
}

func (l *liveLoop) serve() {
	defer close(l.done)
	for {
		l.mu.Lock()
		for len(l.tasks) == 0 && !l.stopped {
			l.wake.Wait()
		}
		tasks := l.tasks
		l.tasks = nil
		l.mu.Unlock()
		if len(tasks) == 0 {
			return
		}
		for _, t := range tasks {
			t.Run()
		}
	}
}

type taskFunc func()

func (f taskFunc) Run() { f() }

// fakeLink keeps what it is sent.
type fakeLink struct {
	full    bool // Send and Write refuse
	got     []string
	closed  bool
	code    frame.CloseCode
	reason  string
	expires time.Time // of the last Expire
}

var _ hub.Link = (*fakeLink)(nil)

func (l *fakeLink) Send(m *frame.Message) bool { return l.Write(m.Op(), m.Payload()) }

func (l *fakeLink) Write(_ frame.Opcode, payload []byte) bool {
	if l.full || l.closed {
		return false
	}
	l.got = append(l.got, string(payload))
	return true
}

func (l *fakeLink) Expire(at time.Time) { l.expires = at }

func (l *fakeLink) Close(code frame.CloseCode, reason string) {
	l.closed, l.code, l.reason = true, code, reason
}

// take returns what was sent since the last take.
func (l *fakeLink) take() []string {
	got := l.got
	l.got = nil
	return got
}

// data returns the data of the text messages to groups among what was sent since
// the last take.
func (l *fakeLink) data(t *testing.T) []string {
	t.Helper()
	var data []string
	for _, m := range l.take() {
		var v struct{ Type, Data string }
		if err := json.Unmarshal([]byte(m), &v); err != nil {
			t.Fatalf("not JSON: %v: %s", err, m)
		}
		if v.Type == "message" {
			data = append(data, v.Data)
		}
	}
	return data
}

// world is a node with stepped loops, a clock that stands still and one hub.
type world struct {
	t     *testing.T
	node  *hub.Node
	hub   *hub.Hub
	loops []*stepLoop
	now   time.Time
}

func newWorld(t *testing.T, loops int, tenant hub.Tenant) *world {
	w := &world{
		t:    t,
		node: hub.New(hub.Config{Hubs: map[string]hub.Tenant{"chat": tenant}}, loops),
		now:  time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC),
	}
	w.node.SetClock(func() time.Time { return w.now })
	w.hub, _ = w.node.Hub("chat")
	for i := range loops {
		w.loops = append(w.loops, &stepLoop{index: i})
	}
	t.Cleanup(func() {
		if err := w.hub.Check(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// drain runs all tasks of all loops.
func (w *world) drain() {
	for _, l := range w.loops {
		l.drain()
	}
}

// wait lets time pass and the deadlines of that time come.
func (w *world) wait(d time.Duration) {
	w.now = w.now.Add(d)
	w.node.Tick()
	w.drain()
}

// eagerly calls f, which may wait for loops, and returns its error. The loops are
// at rest.
func (w *world) eagerly(f func() error) error {
	for _, l := range w.loops {
		l.eager = true
		defer func() { l.eager = false }()
	}
	return f()
}

// roles compiles roles of the token.
func roles(names ...string) *auth.Permissions {
	p, _ := auth.CompileRoles(names)
	return p
}

// client is a session with the link it was opened on.
type client struct {
	*hub.Session
	link *fakeLink
}

// everything is what a client with the global roles may do.
var everything = roles("sluice.joinLeaveGroup", "sluice.sendToGroup")

// open opens a session that may do everything, in those groups.
func (w *world) open(loop int, groups ...string) *client {
	w.t.Helper()
	return w.openAs(loop, auth.Identity{Permissions: everything, Groups: groups}, wire.JSONv1{})
}

// openOn is open on a loop of the test's own.
func (w *world) openOn(l hub.Loop, groups ...string) *client {
	w.t.Helper()
	return w.enter(l, auth.Identity{Permissions: everything, Groups: groups}, wire.JSONv1{})
}

// openAs opens a session for an identity.
func (w *world) openAs(loop int, id auth.Identity, g wire.Grammar) *client {
	w.t.Helper()
	return w.enter(w.loops[loop], id, g)
}

// enter opens a session and swallows what is sent to it meanwhile.
func (w *world) enter(l hub.Loop, id auth.Identity, g wire.Grammar) *client {
	w.t.Helper()
	c := &client{link: &fakeLink{}}
	var err error
	if c.Session, err = w.hub.Open(l, c.link, id, g); err != nil {
		w.t.Fatalf("Open: %v", err)
	}
	c.link.take()
	return c
}

// say gives the session one text message.
func (c *client) say(format string, args ...any) {
	c.Receive(true, fmt.Appendf(nil, format, args...))
}

func (c *client) join(group string)  { c.say(`{"type":"joinGroup","group":%q}`, group) }
func (c *client) leave(group string) { c.say(`{"type":"leaveGroup","group":%q}`, group) }

// send publishes a text to the group, without an ackId.
func (c *client) send(group, text string) {
	c.say(`{"type":"sendToGroup","group":%q,"dataType":"text","data":%q}`, group, text)
}

// count returns the figure with that label.
func count(t *testing.T, counts []hub.Count, label string) uint64 {
	t.Helper()
	for _, c := range counts {
		if c.Label == label {
			return c.N
		}
	}
	t.Fatalf("no label %q in %v", label, counts)
	return 0
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("%s:\ngot  %s\nwant %s", what, g, w)
	}
}
