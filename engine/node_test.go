package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/frame"
	"sluice/internal/metrics"
	"sluice/internal/testkit"
)

// node is an engine that serves real sockets. When the test ends it is shut
// down, and nothing may be left of anything.
type node struct {
	*Engine
	t      *testing.T
	addr   string
	in     Entrance
	tls    *tls.Config // of the clients; nil for plain text
	log    *logBook
	book   *book
	panics uint64 // how many the test provokes
}

// start runs an engine on a port of its own. Deadlines that the configuration
// leaves out are too long to matter.
func start(t *testing.T, cfg Config, h Handler) *node {
	t.Helper()
	testkit.NoLeaks(t)
	def(&cfg.Loops, 1) // the misbehaving client and its neighbour share a loop
	def(&cfg.tick, 5*time.Millisecond)
	for _, d := range []*time.Duration{&cfg.HandshakeTimeout, &cfg.AssemblyTimeout, &cfg.HeartbeatInterval,
		&cfg.PongTimeout, &cfg.CloseTimeout, &cfg.LingerTimeout} {
		def(d, 2*testkit.Patience)
	}
	n := &node{t: t, log: &logBook{}, book: &book{Handler: h}}
	n.Engine = New(cfg, metrics.New(), newLogger(n.log))
	if err := n.Start(n.book); err != nil {
		t.Fatal(err)
	}
	if overTLS {
		server, client := tlsConfigs(t)
		n.in.TLS, n.tls = func() *tls.Config { return server }, client
	}
	n.addr = n.listen("127.0.0.1:0")
	t.Cleanup(func() {
		if !n.draining.Load() {
			n.shutdown(n.cfg.tick)
		}
		n.quiet()
		if got := n.metrics.Panics.Get(); got != n.panics {
			t.Errorf("%d panics, want %d: %s", got, n.panics, n.log)
		}
	})
	return n
}

// listen opens one more listener and returns its address.
func (n *node) listen(addr string) string {
	n.t.Helper()
	ln, err := Listen(context.Background(), addr)
	if err != nil {
		n.t.Fatal(err)
	}
	n.Accept(ln, n.in)
	return ln.Addr().String()
}

// tlsConfigs returns a server's side and one for clients that trust it.
func tlsConfigs(t testing.TB) (server, client *tls.Config) {
	ca := testkit.NewAuthority(t)
	server = &tls.Config{Certificates: []tls.Certificate{ca.Issue("localhost", nil)}, NextProtos: []string{"http/1.1"}}
	return server, &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}
}

func (n *node) shutdown(window time.Duration) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	defer cancel()
	if err := n.Shutdown(ctx, window); err != nil {
		n.t.Errorf("shutdown: %v", err)
	}
	if ctx.Err() != nil {
		n.t.Errorf("shutdown: %d connections and %d handshakes were left", n.connections.Load(), n.pending.Load())
	}
}

// dial connects without a word.
func (n *node) dial() *testkit.Conn { n.t.Helper(); return n.dialAt("tcp", n.addr) }

// dialAt is dial at another of the node's listeners.
func (n *node) dialAt(network, addr string) *testkit.Conn {
	n.t.Helper()
	c := testkit.Dial(n.t, network, addr)
	if n.tls != nil {
		c.Secure(n.tls)
	}
	return c
}

// tryDial is dial on any goroutine.
func (n *node) tryDial() (net.Conn, error) {
	nc, err := testkit.TryDial("tcp", n.addr)
	if err != nil || n.tls == nil {
		return nc, err
	}
	tc := tls.Client(nc, n.tls)
	return tc, tc.Handshake()
}

// open connects and upgrades.
func (n *node) open() *testkit.Conn { n.t.Helper(); return n.openAt("/") }

// openAt is open at a path.
func (n *node) openAt(path string, headers ...string) *testkit.Conn {
	n.t.Helper()
	c := n.dial()
	c.Open(path, headers...)
	return c
}

// eventually waits for what the loops will do in their own time.
func (n *node) eventually(what string, cond func() bool) {
	n.t.Helper()
	testkit.Eventually(n.t, testkit.Patience, cond, what)
}

// quiet waits until every account is back at zero, and checks that each
// endpoint was closed once.
func (n *node) quiet() {
	n.t.Helper()
	n.eventually("all counters back at zero", func() bool {
		return n.connections.Load() == 0 && n.pending.Load() == 0 && n.secured.Load() == 0 && n.queued.Used() == 0 &&
			!slices.ContainsFunc(n.loops, func(l *Loop) bool { return l.placed.Load() != 0 })
	})
	n.eventually("every endpoint closed", func() bool { return n.book.closed.Load() >= n.book.opened.Load() })
	if n.book.twice.Load() != 0 || n.book.closed.Load() != n.book.opened.Load() {
		n.t.Errorf("%d endpoints opened, %d calls of Closed, %d of them not the first",
			n.book.opened.Load(), n.book.closed.Load(), n.book.twice.Load())
	}
}

// closedBy waits until that many connections have ended for a cause.
func (n *node) closedBy(cause Cause, want uint64) {
	n.t.Helper()
	n.eventually(fmt.Sprintf("%d connections closed by %s", want, cause), func() bool {
		return n.metrics.ConnectionsClosed.With(cause.String(), cause.Initiator()).Get() == want
	})
}

// rejected waits until that many handshakes have been refused for a reason.
func (n *node) rejected(label string, want uint64) {
	n.t.Helper()
	n.eventually(fmt.Sprintf("%d handshakes rejected for %s", want, label), func() bool {
		return n.metrics.HandshakeRejections.With(label).Get() == want
	})
}

// on runs f on the goroutine of a loop and waits for it.
func (n *node) on(l *Loop, f func()) {
	n.t.Helper()
	done := make(chan struct{})
	if !l.Post(taskFunc(func() { defer close(done); f() })) {
		n.t.Fatal("the loop refuses a task")
	}
	select {
	case <-done:
	case <-time.After(testkit.Patience):
		n.t.Fatal("the loop does not run a task")
	}
}

// neighbour is a well-behaved client that is served throughout.
type neighbour struct {
	*testkit.Conn
	said int
}

func (n *node) neighbour() *neighbour {
	n.t.Helper()
	nb := &neighbour{Conn: n.open()}
	nb.check()
	return nb
}

func (nb *neighbour) check() {
	nb.said++
	text := fmt.Sprintf("still here %d", nb.said)
	nb.WriteText(text)
	nb.ExpectText(text)
}

// book is a handler that keeps the accounts of another one's endpoints.
type book struct {
	Handler
	opened, closed, twice atomic.Int64
}

func (b *book) Upgrade(c *Conn, r *http.Request) (Acceptance, *Refusal) {
	a, refusal := b.Handler.Upgrade(c, r)
	if open := a.Open; open != nil {
		a.Open = func(c *Conn) (Endpoint, error) {
			e, err := open(c)
			if e == nil {
				return nil, err
			}
			b.opened.Add(1)
			return &entry{Endpoint: e, book: b}, err
		}
	}
	return a, refusal
}

func (b *book) ServesHTTP(r *http.Request) bool {
	h, ok := b.Handler.(HTTPHandler)
	return ok && h.ServesHTTP(r)
}

// entry is an endpoint in the book.
type entry struct {
	Endpoint
	book *book
	gone bool
}

func (e *entry) Message(op frame.Opcode, payload []byte) {
	if e.gone {
		panic("a message after Closed")
	}
	e.Endpoint.Message(op, payload)
}

func (e *entry) Describe(attrs []slog.Attr) []slog.Attr {
	if d, ok := e.Endpoint.(Describer); ok {
		return d.Describe(attrs)
	}
	return attrs
}

func (e *entry) Draining(reconnectAfter time.Duration) {
	if d, ok := e.Endpoint.(Drainer); ok {
		d.Draining(reconnectAfter)
	}
}

func (e *entry) Closed() {
	if e.gone {
		e.book.twice.Add(1)
	}
	e.gone = true
	e.book.closed.Add(1)
	e.Endpoint.Closed()
}

// logBook keeps the messages that are logged, without those for debugging; the
// ones about single connections apart.
type logBook struct {
	mu          sync.Mutex
	lines       []string // guarded by mu
	connections []string // guarded by mu
}

func (b *logBook) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (b *logBook) WithAttrs([]slog.Attr) slog.Handler           { return b }
func (b *logBook) WithGroup(string) slog.Handler                { return b }

func (b *logBook) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	r.Attrs(func(a slog.Attr) bool { line += "\n  " + a.String(); return true })
	b.mu.Lock()
	defer b.mu.Unlock()
	if strings.HasPrefix(line, "connection ") || strings.HasPrefix(line, "handshake ") {
		b.connections = append(b.connections, line)
	} else {
		b.lines = append(b.lines, line)
	}
	return nil
}

func newLogger(b *logBook) *slog.Logger { return slog.New(b) }

func (b *logBook) String() string { return fmt.Sprintf("%q", b.all()) }

func (b *logBook) all() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.lines)
}

// connection waits for a line about a connection that has all the parts.
func (n *node) connection(parts ...string) {
	n.t.Helper()
	n.eventually(fmt.Sprintf("a line with %q", parts), func() bool {
		n.log.mu.Lock()
		defer n.log.mu.Unlock()
		return slices.ContainsFunc(n.log.connections, func(line string) bool {
			return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line+"\n", p+"\n") })
		})
	})
}

// readAll returns what the server says up to the end of the stream, which a
// reset is not.
func readAll(c *testkit.Conn) (string, error) {
	_ = c.SetDeadline(time.Now().Add(testkit.Patience))
	b, err := io.ReadAll(c.R)
	return string(b), err
}

// openSmall is open with a receive buffer of a few kilobytes, so that little is
// on its way to a client that does not read.
func (n *node) openSmall() *testkit.Conn {
	n.t.Helper()
	small := func(_, _ string, rc syscall.RawConn) error {
		var err error
		return errors.Join(rc.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096)
		}), err)
	}
	d := net.Dialer{Timeout: testkit.Patience, Control: small}
	nc, err := d.Dial("tcp", n.addr)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { nc.Close() })
	c := testkit.Wrap(n.t, nc)
	if n.tls != nil {
		c.Secure(n.tls)
	}
	c.Open("/")
	return c
}

// with runs f on the loop of a client's connection.
func (n *node) with(client *testkit.Conn, f func(c *Conn)) {
	n.t.Helper()
	found := false
	for _, l := range n.loops {
		n.on(l, func() {
			for _, c := range l.conns {
				if c.RemoteAddr().String() == client.LocalAddr().String() {
					found = true
					f(c)
					return
				}
			}
		})
	}
	if !found {
		n.t.Fatal("no loop has the connection of this client")
	}
}
