package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// acceptorsPerListener goroutines wait in accept: an enrolment waits for
	// its loop, and the second one goes on meanwhile.
	acceptorsPerListener = 2

	// Accept errors are waited out between these two.
	minAcceptDelay = 5 * time.Millisecond
	maxAcceptDelay = time.Second

	// acceptBurstEnd without an error ends a burst of them. At the limit, each
	// client that leaves lets one in: that is not yet an end.
	// Longer than maxAcceptDelay, or two acceptors that fail in turn would end
	// it over and over.
	acceptBurstEnd = 3 * maxAcceptDelay
)

// Listen opens a listener for client connections: "host:port" for TCP over
// IPv4 or IPv6, or "unix:/path" for a unix socket. A socket file that nobody
// listens on any more is replaced.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	// TCP keep-alive is off: heartbeats see dead peers earlier and the three
	// system calls per connection are saved.
	lc := net.ListenConfig{KeepAlive: -1}
	path, isUnix := strings.CutPrefix(addr, "unix:")
	if !isUnix {
		ln, err := lc.Listen(ctx, "tcp", addr)
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", addr, err)
		}
		return ln, nil
	}
	if err := removeStale(ctx, path); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	ln, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return ln, nil
}

// removeStale removes a socket file left behind by a process that is gone.
func removeStale(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSocket == 0 {
		return errors.New("the file exists and is not a socket")
	}
	c, err := new(net.Dialer).DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		c.Close()
		return errors.New("another process listens there")
	case errors.Is(err, unix.ECONNREFUSED):
		return os.Remove(path)
	}
	return err // such as a full backlog: somebody does listen
}

// Accept puts the listener's connections on the loops, through the entrance,
// until the listener is closed or the engine shuts down, and then closes it. It
// may be called for several listeners, each once, after Start. It does not block.
func (e *Engine) Accept(ln net.Listener, en Entrance) {
	e.listeners = append(e.listeners, ln)
	for range acceptorsPerListener {
		e.acceptors.Go(func() { e.acceptLoop(ln, &en) })
	}
}

func (e *Engine) acceptLoop(ln net.Listener, en *Entrance) {
	delay := minAcceptDelay
	for {
		conn, err := ln.Accept()
		if err == nil {
			err = e.admit(conn, en)
		}
		switch {
		case err == nil:
			e.acceptRecovered()
			delay = minAcceptDelay
		case errors.Is(err, net.ErrClosed):
			return
		default:
			// Most likely out of descriptors. Everybody who is connected stays
			// so; new clients wait in the backlog until some are free again.
			e.acceptFailed(err)
			select {
			case <-e.stopping:
				return
			case <-time.After(delay):
			}
			delay = min(2*delay, maxAcceptDelay)
		}
	}
}

// reserve counts an accepted client as a pending handshake, if there is room for
// one more, or soon will be.
func (e *Engine) reserve(nc net.Conn) bool {
	reason := e.enter(addrOf(nc.RemoteAddr()))
	if reason == pendingLimit {
		reason = e.enterSoon(addrOf(nc.RemoteAddr()))
	}
	if reason != "" {
		e.turnAway(reason, nc.RemoteAddr())
	}
	return reason == ""
}

// placeWait is how long an acceptor waits for a place. In a storm places become free
// all the time, and clients that stay in the backlog meanwhile are let in sooner than
// those that are refused and come again, and cost less.
const placeWait = time.Second

// enterSoon is enter for an acceptor where all places are taken.
func (e *Engine) enterSoon(socket netip.Addr) (reason string) {
	e.awaiting.Add(1)
	defer e.awaiting.Add(-1)
	t := time.NewTimer(placeWait)
	defer t.Stop()
	for {
		if reason = e.enter(socket); reason != pendingLimit {
			return reason
		}
		select {
		case <-e.left:
		case <-t.C:
			return reason
		case <-e.stopping:
			return reason
		}
	}
}

// entered books what came of an enrolment. A client that has left meanwhile is no
// error.
func (e *Engine) entered(nc net.Conn, err error) error {
	if err == nil {
		return nil
	}
	e.leave(addrOf(nc.RemoteAddr()))
	if errors.Is(err, errClientGone) {
		return nil
	}
	return err
}

// enrol gives a socket to the loop, which finds ctx with it in OnOpen and makes
// it c's. It waits for the loop. The socket is the loop's afterwards, or closed;
// it is duplicated for gnet: for a moment it takes two descriptors.
func (l *Loop) enrol(nc net.Conn, c *Conn, ctx any) error {
	trim(nc.LocalAddr())
	trim(nc.RemoteAddr())
	l.placed.Add(1)
	_, err := l.client.EnrollContext(nc, ctx)
	if err == nil && c.gc != nil {
		return nil
	}
	l.placed.Add(-1)
	switch {
	case err == nil:
		err = errors.New("the poller refused the socket")
	case errors.Is(err, net.ErrClosed), errors.Is(err, unix.ENOTCONN):
		return errClientGone
	}
	return fmt.Errorf("enrol: %w", err)
}

// trim makes an address fit to be kept for the life of a connection, as gnet
// keeps both.
//
// Its IP is part of the address as the kernel gave it, 32 bytes, and 64 on a
// listener for both families: the 4 or 16 of the IP are copied out of it. The
// name of a link-local client's interface is dropped, because gnet takes it for
// a buffer of its own and gives it to its pool when the connection ends, for
// anyone to write to; it belongs to package net, which hands the same string to
// everybody.
func trim(a net.Addr) {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return
	}
	ip := tcp.IP
	if v4 := ip.To4(); v4 != nil {
		ip = v4
	}
	tcp.IP = make(net.IP, len(ip))
	copy(tcp.IP, ip)
	tcp.Zone = ""
}

func (e *Engine) leastLoaded() *Loop {
	best := e.loops[0]
	for _, l := range e.loops[1:] {
		if l.placed.Load() < best.placed.Load() {
			best = l
		}
	}
	return best
}

// acceptFailed counts an accept error and logs the first of a burst.
func (e *Engine) acceptFailed(err error) {
	e.metrics.AcceptErrors.Inc()
	e.acceptError.Store(int64(time.Since(e.started)))
	if e.acceptBurst.Add(1) == 1 {
		e.log.Error("cannot accept connections; clients wait until this heals",
			"error", err, "connections", e.connections.Load(), "hint", acceptHint(err))
	}
}

// acceptRecovered ends a burst of accept errors if it has been over for a
// while.
func (e *Engine) acceptRecovered() {
	if e.acceptBurst.Load() == 0 || time.Since(e.started)-time.Duration(e.acceptError.Load()) < acceptBurstEnd {
		return
	}
	if n := e.acceptBurst.Swap(0); n > 0 {
		e.log.Info("accepting connections again", "failed", n)
	}
}

func acceptHint(err error) string {
	switch {
	case errors.Is(err, unix.EMFILE):
		return "raise the open files limit of the process (ulimit -n, LimitNOFILE) or lower max_connections"
	case errors.Is(err, unix.ENFILE):
		return "raise fs.file-max of this machine"
	case errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.ENOMEM):
		return "this machine is out of memory for sockets"
	}
	return "see the error"
}
