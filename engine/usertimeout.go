package engine

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// setUserTimeout has the kernel end a TCP connection whose peer has acknowledged
// nothing for so long (tcp(7), TCP_USER_TIMEOUT); 0 is its own time, a quarter of an
// hour, say. Without it a client whose network is gone keeps its place for that
// time though it is written to: the kernel takes what is little.
func setUserTimeout(c *net.TCPConn, d time.Duration) {
	raw, err := c.SyscallConn()
	if err != nil {
		return // it is closed
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d/time.Millisecond))
	})
}
