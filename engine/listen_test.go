package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"sluice/internal/testkit"
)

// TestListeners: one engine serves clients on IPv4, IPv6 and a unix socket, and
// knows their addresses.
func TestListeners(t *testing.T) {
	n := start(t, Config{Loops: 2}, echo)
	addrs := []string{"127.0.0.1:0", "unix:" + filepath.Join(t.TempDir(), "s")}
	if probe, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Logf("NOT TESTED: this machine has no IPv6: %v", err)
	} else {
		probe.Close()
		addrs = append(addrs, "[::1]:0")
	}
	for _, addr := range addrs {
		network, at := "tcp", n.listen(addr)
		if strings.HasPrefix(addr, "unix:") {
			network = "unix"
		}
		for range 4 { // on both loops
			c := testkit.Dial(t, network, at)
			c.Open("/")
			c.WriteText(addr)
			c.ExpectText(addr)
			c.WriteClose(1000, "")
			c.ExpectClose(1000)
			c.Close()
		}
	}
	n.closedBy(CauseClientClose, uint64(4*len(addrs)))
}

// TestTrim: an address that is kept holds on to no more than its IP.
func TestTrim(t *testing.T) {
	for _, tt := range []struct {
		name string
		ip   net.IP
		size int
	}{
		{"IPv4", net.IP{192, 0, 2, 1}, 4},
		{"IPv4 in IPv6", net.ParseIP("192.0.2.1").To16(), 4},
		{"IPv6", net.ParseIP("2001:db8::1"), 16},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := &net.TCPAddr{IP: tt.ip, Port: 8080, Zone: "eth0"}
			want := (&net.TCPAddr{IP: slices.Clone(tt.ip), Port: 8080}).String()
			trim(a)
			clear(tt.ip)
			if got := a.String(); got != want || cap(a.IP) != tt.size {
				t.Errorf("got %s in %d bytes, want %s in %d", got, cap(a.IP), want, tt.size)
			}
		})
	}
	trim(&net.UnixAddr{Name: "client"}) // has nothing to drop
}

// TestLinkLocalClient: the address of a client on a link is not damaged by the
// pools of gnet; see trim.
func TestLinkLocalClient(t *testing.T) {
	addr, zone := linkLocal(t)
	n := start(t, Config{}, echo)
	_, port, err := net.SplitHostPort(n.listen("[" + addr + "%" + zone + "]:0"))
	if err != nil {
		t.Fatal(err)
	}
	var clients []*testkit.Conn
	for range 3 {
		c := testkit.Dial(t, "tcp", "["+addr+"%"+zone+"]:"+port)
		c.Open("/")
		clients = append(clients, c)
	}
	for _, l := range n.loops {
		n.on(l, func() {
			for _, c := range l.conns {
				if a := c.RemoteAddr().(*net.TCPAddr); a.Zone != "" || !a.IP.Equal(net.ParseIP(addr)) {
					t.Errorf("address %v, zone %q", a, a.Zone)
				}
			}
		})
	}
	for _, c := range clients {
		c.Reset()
	}
	n.closedBy(CauseClientGone, 3)
	if got := clients[0].RemoteAddr().(*net.TCPAddr).Zone; got != zone {
		t.Errorf("the name of interface %q has become %q", zone, got)
	}
}

// linkLocal finds an address of this machine that is valid on one link only.
func linkLocal(t *testing.T) (addr, zone string) {
	t.Helper()
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() == nil && ip.IP.IsLinkLocalUnicast() {
				return ip.IP.String(), i.Name
			}
		}
	}
	t.Skip("NOT TESTED: this machine has no IPv6 link-local address")
	return "", ""
}

func TestUnixListener(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	first, err := Listen(ctx, "unix:"+path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(ctx, "unix:"+path); err == nil || !strings.Contains(err.Error(), "another process listens") {
		t.Errorf("occupied: error %v", err)
	}

	// As after a crash: the file is there and nobody listens.
	first.(*net.UnixListener).SetUnlinkOnClose(false)
	first.Close()
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	second, err := Listen(ctx, "unix:"+path)
	if err != nil {
		t.Fatalf("stale: %v", err)
	}
	second.Close()

	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(ctx, "unix:"+file); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("a file: error %v", err)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
		t.Errorf("the file is now %q, error %v", b, err)
	}
	if _, err := Listen(ctx, "unix:"+filepath.Join(dir, "no", "such", "directory")); err == nil {
		t.Error("no directory: no error")
	}
}

// TestBusyUnixListener: a process that is too busy to accept is not taken for a
// dead one.
func TestBusyUnixListener(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	for { // fill the backlog
		c, err := net.Dial("unix", path)
		if err != nil {
			break
		}
		defer c.Close()
	}
	if _, err := Listen(context.Background(), "unix:"+path); err == nil {
		t.Error("no error")
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the socket of a living process was removed: %v", err)
	}
}

func TestListenErrors(t *testing.T) {
	ln, err := Listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, addr := range []string{ln.Addr().String(), "nonsense", "127.0.0.1:99999"} {
		if _, err := Listen(context.Background(), addr); err == nil || !strings.HasPrefix(err.Error(), "listen on "+addr+": ") {
			t.Errorf("%s: error %v", addr, err)
		}
	}
}

// TestListenerClosed: closing one listener turns its new clients away and
// leaves everybody else.
func TestListenerClosed(t *testing.T) {
	n := start(t, Config{}, echo)
	nb := n.neighbour()
	ln, err := Listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.Accept(ln, Entrance{})
	there := testkit.DialWebSocket(t, ln.Addr().String(), "/")
	ln.Close()
	if c, err := net.DialTimeout("tcp", ln.Addr().String(), testkit.Patience); err == nil {
		c.Close()
		t.Error("a closed listener takes clients")
	}
	there.WriteText("hello")
	there.ExpectText("hello")
	nb.check()
	n.neighbour()
	if len(n.log.all()) != 0 {
		t.Errorf("logged: %s", n.log)
	}
}

// brokenListener fails as often as it is told to and then waits for its close.
type brokenListener struct {
	net.Listener
	mu     sync.Mutex
	fails  []error // guarded by mu
	closed chan struct{}
}

func (ln *brokenListener) Accept() (net.Conn, error) {
	ln.mu.Lock()
	if len(ln.fails) > 0 {
		defer ln.mu.Unlock()
		err := ln.fails[0]
		ln.fails = ln.fails[1:]
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", err)}
	}
	ln.mu.Unlock()
	<-ln.closed
	return nil, net.ErrClosed
}

func (ln *brokenListener) Close() error { close(ln.closed); return nil }

// TestAcceptBursts: a burst of accept errors is counted in full and logged
// once at its begin and once at its end, and only a quiet second ends it.
func TestAcceptBursts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logBook{}
		r := newRig(Config{}, echo)
		e := r.engine
		e.log = newLogger(log)
		ln := &brokenListener{closed: make(chan struct{}), fails: slices.Repeat([]error{unix.EMFILE}, 10)}
		e.Accept(ln, Entrance{})
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := e.metrics.AcceptErrors.Get(); got != 10 {
			t.Errorf("%d errors counted", got)
		}
		logged := func(want ...string) {
			t.Helper()
			all := log.all()
			if len(all) != len(want) {
				t.Fatalf("logged: %q", all)
			}
			for i, line := range all {
				if !strings.Contains(line, want[i]) {
					t.Errorf("logged %q, want %q", line, want[i])
				}
			}
		}
		logged("ulimit -n")

		e.acceptRecovered() // a client got in
		logged("ulimit -n", "failed=10")
		e.acceptRecovered()
		logged("ulimit -n", "failed=10")

		for range 5 { // at the limit: one gets in, one does not
			e.acceptFailed(unix.ENFILE)
			e.acceptRecovered()
			time.Sleep(acceptBurstEnd / 2)
		}
		logged("ulimit -n", "failed=10", "fs.file-max")
		time.Sleep(acceptBurstEnd)
		e.acceptRecovered()
		logged("ulimit -n", "failed=10", "fs.file-max", "failed=5")

		close(e.stopping)
		ln.Close()
		e.acceptors.Wait()
	})
}

// TestAcceptStops: an acceptor that waits out an error ends with the engine.
func TestAcceptStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Config{}, echo)
		ln := &brokenListener{closed: make(chan struct{}), fails: slices.Repeat([]error{unix.ENOBUFS}, 1000)}
		r.engine.Accept(ln, Entrance{})
		synctest.Wait()
		from := time.Now()
		close(r.engine.stopping)
		ln.Close()
		r.engine.acceptors.Wait()
		if d := time.Since(from); d != 0 {
			t.Errorf("took %v", d)
		}
	})
}

func TestAcceptHints(t *testing.T) {
	for err, want := range map[error]string{
		unix.EMFILE: "ulimit", unix.ENFILE: "file-max", unix.ENOBUFS: "memory", unix.ENOMEM: "memory", unix.EPERM: "see the error",
	} {
		if got := acceptHint(os.NewSyscallError("accept4", err)); !strings.Contains(got, want) {
			t.Errorf("%v: %q", err, got)
		}
	}
}

// foreignConn is a connection that gnet cannot take over.
type foreignConn struct{ net.Conn }

func TestEnrolFails(t *testing.T) {
	n := start(t, Config{}, echo)
	ours, theirs := net.Pipe()
	defer ours.Close()
	if err := n.admit(foreignConn{theirs}, &Entrance{}); err == nil {
		t.Error("no error")
	}
	if n.pending.Load() != 0 || n.loops[0].placed.Load() != 0 {
		t.Errorf("%d pending", n.pending.Load())
	}

	// A client that is gone again is nobody's fault.
	ln, err := Listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := testkit.Dial(t, "tcp", ln.Addr().String())
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Reset()
	if err := n.admit(nc, &Entrance{}); err != nil {
		t.Errorf("error %v", err)
	}
}

// TestOutOfDescriptors: with none left, those who are connected stay and are
// served; new ones come in when there are some again.
func TestOutOfDescriptors(t *testing.T) {
	n := start(t, Config{Loops: 2}, echo)
	nb := n.neighbour()
	ln, err := Listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var waiting []*testkit.Conn // the kernel has taken them, nobody else
	for range 20 {
		waiting = append(waiting, testkit.Dial(t, "tcp", ln.Addr().String()))
	}
	restore := limitDescriptors(t, 2)
	n.Accept(ln, Entrance{})
	n.eventually("accept errors", func() bool { return n.metrics.AcceptErrors.Get() > 4 })
	for range 20 {
		nb.check()
	}
	if lines := n.log.all(); len(lines) != 1 || !strings.Contains(lines[0], "ulimit -n") {
		t.Errorf("logged: %q", lines)
	}
	restore()

	served := 0
	for _, c := range waiting { // those that were accepted without a second descriptor are lost
		_ = c.SetDeadline(time.Now().Add(testkit.Patience))
		if _, err := c.Write([]byte(testkit.Head("/"))); err != nil {
			continue
		}
		if _, err := c.R.Peek(1); err != nil {
			continue
		}
		c.ReadResponse()
		c.WriteText("hello")
		c.ExpectText("hello")
		served++
	}
	if served == 0 {
		t.Error("nobody came in afterwards")
	}
	nb.check()
	nb = n.neighbour()
	nb.check()
}

// limitDescriptors leaves the process so many descriptors more than it has.
func limitDescriptors(t *testing.T, more int) (restore func()) {
	t.Helper()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	limit := old
	for limit.Cur = 0; ; limit.Cur++ { // the number of the first that is free and too many
		if _, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", limit.Cur)); err == nil {
			continue
		}
		if more--; more < 0 {
			break
		}
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	restore = sync.OnceFunc(func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(restore)
	return restore
}
