// Package systemd tells the service manager how the process is: ready, stopping,
// alive.
//
// The protocol is one datagram for each message, documented in sd_notify(3) and
// promised to stay; a dependency would be longer than this. Without a service
// manager everything here does nothing. Any goroutine may call it.
package systemd

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// patience is how long a message waits for a manager that does not read: its
// socket holds ten of them.
const patience = time.Second

// Ready tells that the service is up.
func Ready() error { return notify("READY=1") }

// Stopping tells that the service has begun to end.
func Stopping() error { return notify("STOPPING=1") }

// Watch tells the service manager that the process is alive, twice in each
// interval in which it wants to hear that, for as long as alive says so: a
// process that is stuck is then restarted. Call the returned function to end it.
func Watch(alive func() bool) (stop func()) {
	interval := watchdog()
	if interval <= 0 {
		return func() {}
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		t := time.NewTicker(interval / 2)
		defer t.Stop()
		for {
			if alive() {
				_ = notify("WATCHDOG=1") // the next one may get through
			}
			select {
			case <-end:
				return
			case <-t.C:
			}
		}
	}()
	return func() { close(end); <-ended }
}

// watchdog returns the interval of the service manager's watchdog, 0 when it has
// none for this process.
func watchdog() time.Duration {
	if pid := os.Getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(usec) * time.Microsecond
}

func notify(state string) error {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return nil
	}
	if name, abstract := strings.CutPrefix(socket, "@"); abstract {
		socket = "\x00" + name
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("systemd: notify %s: %w", state, err)
	}
	defer conn.Close()
	_ = conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("systemd: notify %s: %w", state, err)
	}
	return nil
}
