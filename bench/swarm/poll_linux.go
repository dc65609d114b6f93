package swarm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// poller waits for sockets, for a time, and for a call of wake. Only wake may be
// called from another goroutine.
type poller struct {
	epoll, timer, waker int
	events              [512]unix.EpollEvent
}

func newPoller() (*poller, error) {
	p := &poller{epoll: -1, timer: -1, waker: -1}
	var err error
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll_create: %w", err)
	}
	if p.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return nil, errors.Join(fmt.Errorf("timerfd_create: %w", err), p.close())
	}
	if p.waker, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return nil, errors.Join(fmt.Errorf("eventfd: %w", err), p.close())
	}
	return p, errors.Join(p.add(p.timer, false), p.add(p.waker, false))
}

func (p *poller) close() error {
	for _, fd := range []int{p.timer, p.waker, p.epoll} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	return nil
}

// wait returns the number of events. It blocks until something happened, unless
// spin is set.
func (p *poller) wait(spin bool) (int, error) {
	// Under load something has happened already; asking for that first keeps
	// the Go scheduler from handing our thread's place to another.
	n, err := unix.EpollWait(p.epoll, p.events[:], 0)
	switch {
	case n != 0 || err != nil:
	case spin:
		runtime.Gosched()
	default:
		n, err = unix.EpollWait(p.epoll, p.events[:], -1)
	}
	if errors.Is(err, unix.EINTR) {
		return 0, nil
	}
	return n, err
}

// event returns the i-th event of the last wait. Those of the timer and of wake
// are taken back and have no socket: fd is -1.
func (p *poller) event(i int) (fd int, readable, writable bool) {
	e := p.events[i]
	fd = int(e.Fd)
	if fd == p.timer || fd == p.waker {
		var b [8]byte
		_, _ = unix.Read(fd, b[:])
		return -1, false, false
	}
	const ended = unix.EPOLLHUP | unix.EPOLLERR // a read says what it is
	return fd, e.Events&(unix.EPOLLIN|ended) != 0, e.Events&(unix.EPOLLOUT|ended) != 0
}

// arm makes wait return after d at the latest.
func (p *poller) arm(d time.Duration) error {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(1, d)))}
	return unix.TimerfdSettime(p.timer, 0, &spec, nil)
}

// wake makes wait return.
func (p *poller) wake() {
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], 1)
	_, _ = unix.Write(p.waker, b[:])
}

// add watches a descriptor: for input, and for room to write if so asked.
func (p *poller) add(fd int, writable bool) error {
	return p.control(unix.EPOLL_CTL_ADD, fd, true, writable)
}

// watch changes what a socket is watched for. Its end is always seen.
func (p *poller) watch(fd int, readable, writable bool) error {
	return p.control(unix.EPOLL_CTL_MOD, fd, readable, writable)
}

func (p *poller) control(op, fd int, readable, writable bool) error {
	e := unix.EpollEvent{Fd: int32(fd)}
	if readable {
		e.Events |= unix.EPOLLIN
	}
	if writable {
		e.Events |= unix.EPOLLOUT
	}
	return unix.EpollCtl(p.epoll, op, fd, &e)
}

// connect begins a TCP connection. source is the zero Addr where the kernel
// shall choose.
func connect(to netip.AddrPort, source netip.Addr, receive int) (fd int, err error) {
	family := unix.AF_INET
	if to.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if receive > 0 { // before the handshake, which tells the other side
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receive)
	}
	if source.IsValid() {
		// The port is chosen in connect, so that one is free as soon as it is
		// free towards this server.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(source, 0))); err != nil {
			closeSocket(fd, false)
			return -1, fmt.Errorf("bind %v: %w", source, err)
		}
	}
	if err := unix.Connect(fd, sockaddr(to)); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		closeSocket(fd, false)
		return -1, fmt.Errorf("connect: %w", err)
	}
	return fd, nil
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is6() {
		return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
}

// connectResult says how a begun connection went, once it is writable.
func connectResult(fd int) error {
	errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && errno != 0 {
		err = unix.Errno(errno)
	}
	return err
}

// read returns how much it has read: 0 where it would block, -1 at the end of
// the stream.
func read(fd int, p []byte) (n int, err error) {
	n, err = unix.Read(fd, p)
	switch {
	case err == nil && n == 0:
		return -1, nil
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return 0, nil
	}
	return n, err
}

// write returns how much the socket took, 0 where it would block.
func write(fd int, p []byte) (n int, err error) {
	n, err = unix.Write(fd, p)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return 0, nil
	}
	return n, err
}

// closeSocket closes; with reset the peer gets RST instead of FIN.
func closeSocket(fd int, reset bool) {
	if reset {
		_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	_ = unix.Close(fd)
}
