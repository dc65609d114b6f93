package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// TestCapacity runs the load of make capacity in small: with few connections the
// figures per connection say nothing, but everything that must be 0 is.
func TestCapacity(t *testing.T) {
	if _, err := exec.LookPath("od"); err != nil {
		t.Skip("the script makes its key with od, which is not here")
	}
	targets := filepath.Join(t.TempDir(), "targets.yaml")
	write(t, targets, `scenario: idle
targets:
  - {figure: connections_failed, max: 0}
  - {figure: connections_lost, max: 0}
  - {figure: heartbeat_rounds, min: 1}
  - {figure: broadcast_missing, max: 0}
  - {figure: goroutines_growth, max: 0}
  - {figure: goroutines_left, max: 0}
  - {figure: fds_left, max: 0}
`)
	cmd := exec.Command("../../bench/capacity/load.sh", sluice, targets)
	cmd.Env = append(os.Environ(), "CONNECTIONS=200", "ROUNDS=1", "HEARTBEAT=200ms", "PATIENCE=20s", "SETTLE=5s",
		"LISTEN="+freeAddr(t), "OPS="+freeAddr(t))
	cmd.Dir = t.TempDir()
	script, err := filepath.Abs(cmd.Path)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Path = script
	p := startCmd(t, cmd)
	if code := p.wait(); code != 0 {
		t.Errorf("exit status %d:\n%s", code, p.output())
	}
}

// freeAddr returns an address that nobody listens on now.
func freeAddr(t *testing.T) string {
	t.Helper()
	for {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ln.Close()
		if _, given := givenAddrs.LoadOrStore(ln.Addr().String(), true); !given {
			return ln.Addr().String()
		}
	}
}

// givenAddrs are what freeAddr has returned: the kernel may choose the same twice.
var givenAddrs sync.Map
