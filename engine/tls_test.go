package engine

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/frame"
	"sluice/internal/testkit"
)

// overTLS has every node of a test serve TLS, and its clients speak it.
var overTLS bool

// TestOverTLS runs again, over TLS, what other tests say about clients. Left out
// are those that look at descriptors or bytes where TLS has more or fewer of them.
func TestOverTLS(t *testing.T) {
	overTLS = true
	defer func() { overTLS = false }()
	for _, tt := range []struct {
		name string
		test func(t *testing.T)
	}{
		{"Capacity", TestCapacity},
		{"ClientClose", TestClientClose},
		{"CloseNotAnswered", TestCloseNotAnswered},
		{"CloseNotFollowedByEOF", TestCloseNotFollowedByEOF},
		{"CloseWithinOpen", TestCloseWithinOpen},
		{"Counters", TestCounters},
		{"Extensions", TestExtensions},
		{"HTTPClient", TestHTTPClient},
		{"HTTPCuts", TestHTTPCuts},
		{"HTTPLimit", TestHTTPLimit},
		{"HTTPNotClaimed", TestHTTPNotClaimed},
		{"HTTPStorm", TestHTTPStorm},
		{"HandlerRefusal", TestHandlerRefusal},
		{"Handshake", TestHandshake},
		{"HandshakeBytes", TestHandshakeBytes},
		{"HostileClient", TestHostileClient},
		{"LoopsShareTheLoad", TestLoopsShareTheLoad},
		{"Move", TestMove},
		{"MoveClientGone", TestMoveClientGone},
		{"MoveQueueFull", TestMoveQueueFull},
		{"MoveWhileDraining", TestMoveWhileDraining},
		{"MoveWhileFull", TestMoveWhileFull},
		{"Moves", TestMoves},
		{"NoGoroutinePerConnection", TestNoGoroutinePerConnection},
		{"OpenFails", TestOpenFails},
		{"OutputBeforeClose", TestOutputBeforeClose},
		{"Panics", TestPanics},
		{"PolicyIsFelt", TestPolicyIsFelt},
		{"Reset", TestReset},
		{"SecondRequestAfterUpgrade", TestSecondRequestAfterUpgrade},
		{"ServerClose", TestServerClose},
		{"Shutdown", TestShutdown},
		{"ShutdownCutShort", TestShutdownCutShort},
		{"ShutdownPending", TestShutdownPending},
		{"ShutdownRunsTasks", TestShutdownRunsTasks},
		{"ShutdownUnanswered", TestShutdownUnanswered},
		{"SlowConsumers", TestSlowConsumers},
		{"SlowHead", TestSlowHead},
		{"Storm", TestStorm},
		{"TakeBack", TestTakeBack},
		{"TakeBackRefused", TestTakeBackRefused},
		{"TasksDoNotStarveReads", TestTasksDoNotStarveReads},
		{"UpgradeRequest", TestUpgradeRequest},
		{"WaitingOnSockets", TestWaitingOnSockets},
	} {
		t.Run(tt.name, tt.test)
	}
}

// startTLS runs an engine whose clients come over TLS.
func startTLS(t *testing.T, cfg Config, h Handler) *node {
	t.Helper()
	overTLS = true
	defer func() { overTLS = false }()
	return start(t, cfg, h)
}

// handshakesDone returns how many TLS handshakes have ended so.
func (n *node) handshakesDone(result string) uint64 {
	return n.metrics.TLSHandshakes.With(result).Get()
}

// pieces is a socket that writes a few bytes at a time.
type pieces struct {
	net.Conn
	size int
}

func (p pieces) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = p.Conn.Write(b[n:min(len(b), n+p.size)])
		n += m
	}
	return n, err
}

// lazy is a socket that writes nothing before it is read from, so that the end of
// the handshake leaves together with what follows it.
type lazy struct {
	net.Conn
	held []byte
}

func (l *lazy) Write(b []byte) (int, error) { l.held = append(l.held, b...); return len(b), nil }

func (l *lazy) Read(b []byte) (int, error) {
	if len(l.held) > 0 {
		held := l.held
		l.held = nil
		if _, err := l.Conn.Write(held); err != nil {
			return 0, err
		}
	}
	return l.Conn.Read(b)
}

// recorder is a socket that keeps what was read from it.
type recorder struct {
	net.Conn
	read bytes.Buffer
}

func (r *recorder) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.read.Write(b[:n])
	return n, err
}

// TestTLSEcho: messages of all sizes in both versions, however the records are cut
// and joined on their way.
func TestTLSEcho(t *testing.T) {
	n := startTLS(t, Config{MaxMessageSize: 8 << 20}, echo)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for name, way := range map[string]func(net.Conn) net.Conn{
			"whole":        func(nc net.Conn) net.Conn { return nc },
			"three bytes":  func(nc net.Conn) net.Conn { return pieces{nc, 3} },
			"1,000 bytes":  func(nc net.Conn) net.Conn { return pieces{nc, 1000} },
			"all together": func(nc net.Conn) net.Conn { return &lazy{Conn: nc} },
		} {
			t.Run(tls.VersionName(version)+"/"+name, func(t *testing.T) {
				cfg := n.tls.Clone()
				cfg.MaxVersion = version
				c := testkit.Dial(t, "tcp", n.addr)
				c.Conn = way(c.Conn)
				c.Secure(cfg)
				c.WriteString(testkit.Head("/") + string(testkit.MaskedFrame(0x81, []byte("glued"))))
				if resp := c.ReadResponse(); resp.StatusCode != http.StatusSwitchingProtocols {
					t.Fatalf("status %d", resp.StatusCode)
				}
				c.ExpectText("glued")
				sizes := []int{0, 1, 16 << 10, 16<<10 + 1, 70_000, 4 << 20}
				if name == "three bytes" || name == "all together" {
					sizes = []int{0, 1, 20_000}
				}
				for _, size := range sizes {
					sent := random(size)
					if size > 1<<20 {
						go c.WriteFrame(0x82, sent) // more than the sockets hold
					} else {
						c.WriteFrame(0x82, sent)
					}
					if got := c.ReadFrame(); !bytes.Equal(got.Payload, sent) {
						t.Fatalf("%d bytes: got %d, or others", size, len(got.Payload))
					}
				}
				c.Close()
			})
		}
	}
}

// TestTLSResumption: a client that comes back with its ticket is spared the
// certificate.
func TestTLSResumption(t *testing.T) {
	n := startTLS(t, Config{}, echo)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cfg := n.tls.Clone()
		cfg.MaxVersion, cfg.ClientSessionCache = version, tls.NewLRUClientSessionCache(0)
		for visit := range 3 {
			c := testkit.DialTLS(t, "tcp", n.addr, cfg)
			c.Open("/")
			if got := c.Conn.(*tls.Conn).ConnectionState().DidResume; got != (visit > 0) {
				t.Errorf("%s, visit %d: resumed %v", tls.VersionName(version), visit, got)
			}
			c.WriteText("hello")
			c.ExpectText("hello")
			c.Close()
		}
	}
	if full, resumed := n.handshakesDone("full"), n.handshakesDone("resumed"); full != 2 || resumed != 4 {
		t.Errorf("%d full and %d resumed handshakes counted", full, resumed)
	}
}

// TestTLSRequest: the handler sees TLS, and whose certificate the client has shown.
func TestTLSRequest(t *testing.T) {
	ca := testkit.NewAuthority(t)
	server := &tls.Config{Certificates: []tls.Certificate{ca.Issue("localhost", nil)}, ClientCAs: ca.Pool(), ClientAuth: tls.VerifyClientCertIfGiven}
	seen := make(chan string, 1)
	n := start(t, Config{}, handlerFunc(func(_ *Conn, r *http.Request) (Acceptance, *Refusal) {
		who := "nobody"
		if chains := r.TLS.VerifiedChains; len(chains) > 0 {
			who = chains[0][0].Subject.CommonName
		}
		seen <- who
		return Acceptance{}, &Refusal{Status: http.StatusForbidden, Reason: "no"}
	}))
	n.in.TLS = func() *tls.Config { return server }
	n.addr, n.tls = n.listen("127.0.0.1:0"), &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}
	for _, want := range []string{"nobody", "alice"} {
		if want != "nobody" {
			n.tls.Certificates = []tls.Certificate{ca.Issue(want, nil)}
		}
		c := n.dial()
		c.WriteString(testkit.Head("/"))
		if _, err := readAll(c); err != nil {
			t.Error(err)
		}
		c.Close()
		if got := <-seen; got != want {
			t.Errorf("the handler saw %q, want %q", got, want)
		}
	}
	n.tls.Certificates = []tls.Certificate{testkit.NewAuthority(t).Issue("mallory", nil)}
	c := testkit.Dial(t, "tcp", n.addr)
	tc := tls.Client(c.Conn, n.tls)
	_ = tc.SetDeadline(time.Now().Add(testkit.Patience))
	if _, err := io.ReadAll(tc); err == nil { // in TLS 1.3 the client hears of it after its handshake
		t.Error("a certificate of another authority was taken")
	}
	n.eventually("a failed handshake", func() bool { return n.handshakesDone("failed") == 1 })
}

// TestTLSHandshakeFails: what a client can do instead of a handshake costs its
// connection, and is counted.
func TestTLSHandshakeFails(t *testing.T) {
	helloOnly := func(t *testing.T, n *node) *testkit.Conn {
		c := testkit.Dial(t, "tcp", n.addr)
		ours, theirs := net.Pipe()
		go func() { _ = tls.Client(theirs, n.tls).Handshake() }()
		hello := make([]byte, 16<<10)
		m, err := ours.Read(hello)
		ours.Close()
		if err != nil {
			t.Fatal(err)
		}
		c.WriteBytes(hello[:m])
		return c
	}
	for _, tt := range []struct {
		name   string
		cfg    HandshakeConfig
		client func(t *testing.T, n *node) *testkit.Conn
		want   string
	}{
		{"says nothing", HandshakeConfig{Timeout: short}, func(t *testing.T, n *node) *testkit.Conn {
			return testkit.Dial(t, "tcp", n.addr)
		}, "timeout"},
		{"stalls", HandshakeConfig{Timeout: short}, helloOnly, "timeout"},
		{"leaves at once", HandshakeConfig{}, func(t *testing.T, n *node) *testkit.Conn {
			c := testkit.Dial(t, "tcp", n.addr)
			c.Close()
			return c
		}, "client_gone"},
		{"resets in the middle", HandshakeConfig{}, func(t *testing.T, n *node) *testkit.Conn {
			c := helloOnly(t, n)
			if _, err := c.R.ReadByte(); err != nil {
				t.Error(err)
			}
			c.Reset()
			return c
		}, "client_gone"},
		{"speaks something else", HandshakeConfig{}, func(t *testing.T, n *node) *testkit.Conn {
			c := testkit.Dial(t, "tcp", n.addr)
			c.WriteString("SSH-2.0-OpenSSH_9.2\r\n")
			return c
		}, "failed"},
		{"speaks an old version only", HandshakeConfig{}, func(t *testing.T, n *node) *testkit.Conn {
			c := testkit.Dial(t, "tcp", n.addr)
			old := n.tls.Clone()
			old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
			if err := tls.Client(c.Conn, old).Handshake(); err == nil {
				t.Error("a handshake with TLS 1.1")
			}
			return c
		}, "failed"},
		{"speaks HTTP in clear text", HandshakeConfig{}, func(t *testing.T, n *node) *testkit.Conn {
			c := testkit.Dial(t, "tcp", n.addr)
			c.WriteString(testkit.Head("/") + strings.Repeat("more than anybody reads", 100))
			if resp := c.ReadResponse(); resp.StatusCode != http.StatusBadRequest {
				t.Errorf("status %d", resp.StatusCode)
			} else if body, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(body), "https://") {
				t.Errorf("%q, error %v", body, err)
			}
			c.ExpectEOF()
			c.Close()
			return c
		}, "plain_http"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := startTLS(t, Config{Handshakes: tt.cfg}, echo)
			c := tt.client(t, n)
			n.eventually(tt.want, func() bool { return n.handshakesDone(tt.want) == 1 })
			n.eventually("nothing pending", func() bool { return n.pending.Load() == 0 && len(n.greeted) == 0 })
			if _, err := io.ReadAll(c.R); err != nil && c.Conn.SetDeadline(time.Now()) == nil && !isReset(err) {
				t.Errorf("the connection ends with %v", err)
			}
			n.neighbour().Reset()
		})
	}
}

// isReset tells whether the peer has left without a farewell.
func isReset(err error) bool {
	_, ok := errors.AsType[*net.OpError](err)
	return ok
}

// TestTLSHandshakeLimit: clients that stall take no place from those that do not,
// up to a limit, above which one more is closed unheard.
func TestTLSHandshakeLimit(t *testing.T) {
	n := startTLS(t, Config{Handshakes: HandshakeConfig{Workers: 1, Max: 4, Timeout: testkit.Patience}}, echo)
	var silent []*testkit.Conn
	for range 3 {
		silent = append(silent, testkit.Dial(t, "tcp", n.addr))
	}
	n.eventually("three under way", func() bool { return len(n.greeted) == 3 })
	nb := n.neighbour()
	silent = append(silent, testkit.Dial(t, "tcp", n.addr))
	n.eventually("four under way", func() bool { return len(n.greeted) == 4 })
	over := testkit.Dial(t, "tcp", n.addr)
	if b, _ := readAll(over); b != "" {
		t.Errorf("got %q", b)
	}
	n.eventually("one refused", func() bool { return n.handshakesDone("refused") == 1 })
	nb.check()
	for _, c := range silent {
		c.Close()
	}
	n.eventually("all forgotten", func() bool { return len(n.greeted) == 0 && n.pending.Load() == 0 })
}

// TestTLSStorm: very many handshakes at once all succeed where the limits allow
// it, and nothing is left of them.
func TestTLSStorm(t *testing.T) {
	clients := 2000
	if raceEnabled {
		clients = 400
	}
	n := startTLS(t, Config{Loops: 2, MaxPendingHandshakes: clients + 1,
		Handshakes: HandshakeConfig{Max: clients, Timeout: testkit.Patience}}, echo)
	before := descriptors(t)
	var ready, done sync.WaitGroup
	connected := make(chan struct{})
	ready.Add(clients)
	for range clients {
		done.Go(func() {
			nc, err := testkit.TryDial("tcp", n.addr)
			ready.Done()
			if err != nil {
				t.Error(err)
				return
			}
			defer nc.Close()
			<-connected
			tc := tls.Client(nc, n.tls)
			if err := tc.Handshake(); err != nil {
				t.Error(err)
				return
			}
			c := testkit.Wrap(t, tc)
			_, _ = tc.Write(append([]byte(testkit.Head("/")), testkit.MaskedFrame(0x81, []byte("hello"))...))
			resp, err := http.ReadResponse(c.R, nil)
			if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
				t.Errorf("answer %v, error %v", resp, err)
				return
			}
			if f, err := c.TryReadFrame(); err != nil || string(f.Payload) != "hello" {
				t.Errorf("echo %q, error %v", f.Payload, err)
			}
		})
	}
	ready.Wait()
	close(connected)
	done.Wait()
	if got := n.handshakesDone("full"); got != uint64(clients) {
		t.Errorf("%d handshakes, want %d", got, clients)
	}
	n.quiet()
	n.eventually("all descriptors closed", func() bool { return descriptors(t) <= before })
}

// TestTLSHeld: what one record asks for is spread over turns like what one read
// does, and nothing of it is lost.
func TestTLSHeld(t *testing.T) {
	n := startTLS(t, Config{}, accept(func(c *Conn) (Endpoint, error) {
		return &endpoint{message: func(op frame.Opcode, p []byte) {
			c.loop.work += workPerTurn // as if it had gone to very many
			c.Write(op, p)
		}}, nil
	}))
	nb := n.neighbour()
	c := n.open()
	var input []byte
	for i := range 200 {
		input = append(input, testkit.MaskedFrame(0x81, fmt.Append(nil, i))...)
	}
	c.WriteBytes(input[:len(input)/2])
	nb.check()
	c.WriteBytes(input[len(input)/2:])
	for i := range 200 {
		c.ExpectText(fmt.Sprint(i))
	}
	c.Close()
}

// TestTLSPanic: a bug while a client is let in costs that client.
func TestTLSPanic(t *testing.T) {
	n := startTLS(t, Config{Handshakes: HandshakeConfig{Workers: 1}}, echo)
	nb := n.neighbour()
	server := n.in.TLS()
	bug := server.Clone()
	bug.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { panic("a bug") }
	bug.Certificates = nil
	addr := n.addr
	n.in.TLS = func() *tls.Config { return bug }
	n.addr = n.listen("127.0.0.1:0")
	c := testkit.Dial(t, "tcp", n.addr)
	if err := tls.Client(c.Conn, n.tls).Handshake(); err == nil {
		t.Error("a handshake")
	}
	n.addr, n.panics = addr, 1
	n.eventually("nothing pending", func() bool { return n.pending.Load() == 0 && len(n.greeted) == 0 })
	nb.check()
	n.neighbour() // the place among those that compute is free again
}

// TestTLSBroken: a record that was forged ends the connection with an alert.
func TestTLSBroken(t *testing.T) {
	n := startTLS(t, Config{}, echo)
	nb := n.neighbour()
	forged := append([]byte{23, 3, 3, 0, 40}, make([]byte, 40)...)

	c := n.open()
	if _, err := c.Socket().Write(forged); err != nil {
		t.Fatal(err)
	}
	if _, err := readAll(c); err == nil || !strings.Contains(err.Error(), "bad record MAC") {
		t.Errorf("the client got %v, want an alert", err)
	}
	c.Close()
	n.closedBy(CauseTLSError, 1)

	c = n.dial() // before there is a request
	if _, err := c.Socket().Write(forged); err != nil {
		t.Fatal(err)
	}
	n.rejected("tls_error", 1)
	c.Close()
	nb.check()
}

// TestTLSCloseNotify: the end is said in TLS too, by both sides.
func TestTLSCloseNotify(t *testing.T) {
	n := startTLS(t, Config{}, echo)
	n.tls.MaxVersion = tls.VersionTLS12 // where the kind of a record can be seen
	ends := func(c *testkit.Conn, r *recorder) {
		t.Helper()
		c.ExpectEOF()
		const alert = 21
		all := r.read.Bytes()
		var last byte
		for len(all) > 5 {
			last = all[0]
			all = all[5+int(all[3])<<8+int(all[4]):]
		}
		if last != alert {
			t.Errorf("the last record is of type %d, want an alert", last)
		}
	}
	open := func() (*testkit.Conn, *recorder) {
		c := testkit.Dial(t, "tcp", n.addr)
		r := &recorder{Conn: c.Conn}
		c.Conn = r
		c.Secure(n.tls)
		c.Open("/")
		return c, r
	}
	c, r := open()
	c.WriteClose(uint16(frame.CloseNormal), "")
	if f := c.ReadFrame(); f.Op != byte(frame.OpClose) {
		t.Errorf("got %s", f)
	}
	ends(c, r)
	c.Close()
	n.closedBy(CauseClientClose, 1)

	c, r = open()
	c.WriteText("last words")
	if err := c.Conn.(*tls.Conn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.ExpectText("last words")
	ends(c, r)
	n.closedBy(CauseClientGone, 1)

	c = n.dial() // before there is a request
	c.Close()
	n.rejected("client_gone", 1)
}

// TestTLSWhileDraining: a handshake under way is broken off, and nobody waits long
// for it.
func TestTLSWhileDraining(t *testing.T) {
	n := startTLS(t, Config{Handshakes: HandshakeConfig{Timeout: testkit.Patience}}, echo)
	c := testkit.Dial(t, "tcp", n.addr)
	n.eventually("a handshake under way", func() bool { return len(n.greeted) == 1 })
	n.shutdown(n.cfg.tick)
	if b, _ := readAll(c); b != "" {
		t.Errorf("got %q", b)
	}
	if got := n.handshakesDone("draining"); got != 1 {
		t.Errorf("%d counted", got)
	}
}

// TestTLSQueueIsCiphertext: what gnet holds of a client that does not read is
// counted as it is, encrypted, and ages as it is read.
func TestTLSQueueIsCiphertext(t *testing.T) {
	n := startTLS(t, Config{MaxQueueBytes: 16 << 20}, echo)
	c := n.openSmall()
	if got := n.TLSConnections(); got != 1 {
		t.Errorf("%d connections over TLS", got)
	}
	const messages, size = 100_000, 20
	n.with(c, func(c *Conn) {
		for range messages {
			c.Write(frame.OpBinary, make([]byte, size))
			c.write() // a record of its own
		}
		if got := c.gc.OutboundBuffered(); int(c.unsent) != got || got == 0 {
			t.Errorf("%d bytes counted, gnet holds %d", c.unsent, got)
		}
		if c.backlog.given < int64(c.unsent) {
			t.Errorf("%d bytes given, %d of them unsent", c.backlog.given, c.unsent)
		}
	})
	for range messages {
		c.ReadFrame()
	}
	n.eventually("the queue empty", func() bool { return n.QueuedBytes() == 0 })
}

// secureConn is a connection over TLS on a loop without sockets, and the client's
// side of it: what the client writes is to be received.
func (r *rig) secureConn(t testing.TB) (gc *fakeConn, client *tls.Conn, sent *[]byte) {
	t.Helper()
	serverConfig, clientConfig := tlsConfigs(t)
	a, b := net.Pipe()
	s := newSession(b, nil, serverConfig)
	out := &wire{nc: a, out: new([]byte)}
	client = tls.Client(out, clientConfig)
	shaken := make(chan error, 1)
	go func() { shaken <- client.Handshake() }()
	if err := errors.Join(s.tls.Handshake(), <-shaken); err != nil {
		t.Fatal(err)
	}
	out.nc = nil
	r.engine.pending.Add(1)
	r.placed.Add(1)
	gc = &fakeConn{rig: r, room: -1, sink: true}
	gc.ctx = &incoming{conn: &Conn{loop: r.Loop}, over: over{tls: s}}
	r.events.OnOpen(gc)
	return gc, client, out.out
}

// SetContext is what gnet does with it.
func (f *fakeConn) SetContext(ctx any)   { f.ctx = ctx }
func (f *fakeConn) SetSafeContext(_ any) {}

// BenchmarkEchoTLS is BenchmarkEcho over TLS: one record with so many frames.
func BenchmarkEchoTLS(b *testing.B) {
	for _, size := range []int{128, 4 << 10} {
		for _, frames := range []int{1, 16} {
			b.Run(fmt.Sprintf("size=%d/frames=%d", size, frames), func(b *testing.B) {
				r := newRig(Config{}, echo)
				gc, client, sent := r.secureConn(b)
				say := func(p []byte) []byte {
					*sent = (*sent)[:0]
					if _, err := client.Write(p); err != nil {
						b.Fatal(err)
					}
					return *sent
				}
				gc.receive(say([]byte(testkit.Head("/"))))
				var input []byte
				for range frames {
					input = append(input, testkit.MaskedFrame(0x82, make([]byte, size))...)
				}
				b.ReportAllocs()
				b.SetBytes(int64(len(input)))
				for b.Loop() {
					b.StopTimer()
					record := say(input)
					b.StartTimer()
					gc.receive(record)
				}
				if gc.writes < b.N {
					b.Fatalf("%d writes", gc.writes)
				}
			})
		}
	}
}
