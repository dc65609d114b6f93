package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/internal/testkit"
)

const unitFile = "../../deploy/systemd/sluice.service"

// TestUnitFile has systemd read the service and rate its sandbox. Nothing is
// started.
func TestUnitFile(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("SKIPPED: systemd-analyze is not installed (Debian package systemd): deploy/systemd/sluice.service was not checked")
	}
	text, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "sluice.service")
	write(t, unit, strings.ReplaceAll(string(text), "/usr/local/bin/sluice", sluice))
	for _, args := range [][]string{
		{"verify", unit},
		{"security", "--offline=true", "--threshold=15", "--no-pager", unit}, // exposure at most 1.5 of 10
	} {
		out, errs, code := run(t, analyze, args...)
		if strings.Contains(errs, "unrecognized option") {
			t.Skip("SKIPPED: this systemd-analyze is too old for " + strings.Join(args[:1], " ") + " of a file")
		}
		if code != 0 || args[0] == "verify" && errs != "" {
			t.Errorf("%q: exit %d\n%s%s", args, code, out, errs)
		}
	}
}

// TestNotify follows what the service manager hears from start to end.
func TestNotify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	heard := func(want string) {
		t.Helper()
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		for buf := make([]byte, 100); ; {
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatalf("waiting for %s: %v", want, err)
			}
			if string(buf[:n]) == want {
				return
			}
		}
	}
	cmd := exec.Command(sluice, "serve", "--dev", "--key", testKey, "--listen", "127.0.0.1:0", "--ops", "127.0.0.1:0", "--echo", "/echo")
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=100000")
	n := await(startCmd(t, cmd))
	heard("READY=1")
	c := testkit.DialWebSocket(t, n.addr, "/echo") // who is told is there already
	heard("WATCHDOG=1")
	heard("WATCHDOG=1")
	n.signal(syscall.SIGTERM)
	heard("STOPPING=1")
	c.ExpectClose(1012)
	c.Close()
	if code := n.wait(); code != 0 {
		t.Errorf("exit %d", code)
	}
}
