package systemd_test

import (
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"sluice/internal/systemd"
	"sluice/internal/testkit"
)

// manager is the service manager's end of the socket.
func manager(t *testing.T) (next func() string) {
	t.Helper()
	path := t.TempDir() + "/notify"
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return func() string {
		t.Helper()
		_ = conn.SetReadDeadline(time.Now().Add(testkit.Patience))
		buf := make([]byte, 100)
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
}

func TestStates(t *testing.T) {
	next := manager(t)
	for want, tell := range map[string]func() error{"READY=1": systemd.Ready, "STOPPING=1": systemd.Stopping} {
		if err := tell(); err != nil {
			t.Fatal(err)
		}
		if got := next(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestWatch: the watchdog is fed while the process is alive, and only then.
func TestWatch(t *testing.T) {
	testkit.NoLeaks(t)
	next := manager(t)
	t.Setenv("WATCHDOG_USEC", "20000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	var alive atomic.Bool
	var asked atomic.Int64
	alive.Store(true)
	stop := systemd.Watch(func() bool { asked.Add(1); return alive.Load() })
	for range 3 {
		if got := next(); got != "WATCHDOG=1" {
			t.Errorf("got %q", got)
		}
	}
	alive.Store(false)
	testkit.Eventually(t, testkit.Patience, func() bool { return asked.Load() > 10 }, "asked on and on")
	stop()
	if err := systemd.Stopping(); err != nil {
		t.Fatal(err)
	}
	fed := 0
	for next() == "WATCHDOG=1" {
		fed++
	}
	if fed > 5 {
		t.Errorf("fed %d times by a process that is stuck", fed)
	}
}

// TestNobodyListens: without a service manager, or with another process's
// watchdog, nothing happens.
func TestNobodyListens(t *testing.T) {
	testkit.NoLeaks(t)
	t.Setenv("NOTIFY_SOCKET", "")
	if err := systemd.Ready(); err != nil {
		t.Error(err)
	}
	t.Setenv("WATCHDOG_USEC", "1000")
	t.Setenv("WATCHDOG_PID", "1")
	systemd.Watch(func() bool { t.Error("asked"); return false })()
	t.Setenv("NOTIFY_SOCKET", t.TempDir()+"/nobody")
	if systemd.Ready() == nil {
		t.Error("a socket that nobody has is no error")
	}
}

// TestBusyManager: a manager that does not read does not hold the process up.
func TestBusyManager(t *testing.T) {
	manager(t)
	for range 1000 {
		if systemd.Ready() != nil {
			return
		}
	}
	t.Error("a thousand messages were taken though nobody read them")
}
