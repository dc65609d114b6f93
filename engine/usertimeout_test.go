package engine

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestUserTimeout: what net/http serves does not hold its place for a client whose
// network is gone, and the option can be taken back.
func TestUserTimeout(t *testing.T) {
	n := start(t, Config{}, api{echo})
	n.dial().WriteString(apiCall)
	nc, err := n.HTTPListener().Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	c := nc.(*httpConn).socket.(*net.TCPConn)
	expectUserTimeout(t, c, httpUserTimeout)
	setUserTimeout(c, 0)
	expectUserTimeout(t, c, 0)
}

func expectUserTimeout(t *testing.T, c *net.TCPConn, want time.Duration) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		got, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
		if err != nil || time.Duration(got)*time.Millisecond != want {
			t.Errorf("%d ms, %v; want %v", got, err, want)
		}
	})
}
