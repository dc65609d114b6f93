package node

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/auth"
	"sluice/hub"
	"sluice/internal/config"
	"sluice/internal/logs"
	"sluice/internal/testkit"
)

// TestGrace: a node that is asked to stop says so before it acts on it: not
// ready, but clients whom a load balancer still sends are let in and served.
func TestGrace(t *testing.T) {
	testkit.NoLeaks(t)
	cfg := config.Config{
		Listen: []string{"127.0.0.1:0"}, Ops: "127.0.0.1:0",
		Drain: config.Drain{Grace: time.Hour, Window: time.Millisecond},
		Auth:  auth.Config{Keys: []auth.Key{{Secret: testKey}}},
		Hub:   hub.Config{CreateOnFirstUse: true},
	}
	log := logs.Open(cfg.Log, t.Output())
	defer log.Close()
	n, err := Start(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cut := context.WithCancel(context.Background())
	stopped := make(chan error)
	go func() { stopped <- n.Stop(ctx) }()
	testkit.Eventually(t, testkit.Patience, func() bool {
		status, body := get(t, n, "/readyz")
		return status == 503 && body == "draining\n"
	}, "not ready")
	c := dial(t, n, auth.Claims{})
	c.ReadText()
	if status, _ := get(t, n, "/healthz"); status != 200 {
		t.Errorf("/healthz: %d", status)
	}
	_, page := get(t, n, "/metrics")
	if !strings.Contains(page, "\nsluice_readiness{state=\"draining\"} 1\n") || !strings.Contains(page, "\nsluice_drain_remaining_connections 0\n") {
		t.Error("the metrics do not say that a drain is about to come")
	}
	cut()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// lines is a writer for a log that is read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// TestLog: the lines name hub and connection, and the user if that is wanted.
func TestLog(t *testing.T) {
	for _, users := range []bool{false, true} {
		var out lines
		n, log := startLogged(t, &out, users)
		c := dial(t, n, auth.Claims{User: "alice"})
		_, id, _ := strings.Cut(c.ReadText(), `"connectionId":"`)
		id, _, _ = strings.Cut(id, `"`)
		c.Reset()
		testkit.Eventually(t, testkit.Patience, func() bool { return strings.Contains(out.String(), `"msg":"connection closed"`) }, "the line of the end")
		if err := n.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		log.Close()
		for line := range strings.Lines(out.String()) {
			if !strings.Contains(line, `"msg":"connection `) {
				continue
			}
			if !strings.Contains(line, `"hub":"chat","connection":"`+id+`"`) {
				t.Errorf("no name in %s", line)
			}
			if strings.Contains(line, `"user":"alice"`) != users {
				t.Errorf("users %v: %s", users, line)
			}
		}
	}
}

func startLogged(t *testing.T, out *lines, users bool) (*Node, *logs.Log) {
	t.Helper()
	cfg := config.Config{
		Listen: []string{"127.0.0.1:0"}, Ops: "127.0.0.1:0",
		Log:   logs.Config{Format: "json", Users: users},
		Drain: config.Drain{Grace: time.Millisecond, Window: time.Millisecond},
		Auth:  auth.Config{Keys: []auth.Key{{Secret: testKey}}},
		Hub:   hub.Config{CreateOnFirstUse: true},
	}
	log := logs.Open(cfg.Log, out)
	n, err := Start(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	return n, log
}

// TestDeliveryIsMeasured: a publication leaves its traces in the histograms.
func TestDeliveryIsMeasured(t *testing.T) {
	n := startNode(t, func(c *config.Config) { c.Engine.Loops = 2 })
	var members []*testkit.Conn
	for range 4 {
		c := dial(t, n, auth.Claims{Groups: []string{"g"}, Roles: []string{"sluice.sendToGroup"}})
		c.ReadText()
		members = append(members, c)
	}
	members[0].WriteText(`{"type":"sendToGroup","group":"g","data":1}`)
	for _, c := range members {
		c.ReadText()
	}
	testkit.Eventually(t, testkit.Patience, func() bool {
		_, page := get(t, n, "/metrics")
		return strings.Contains(page, "\nsluice_fan_out_members_sum 4\n") &&
			strings.Contains(page, "\nsluice_delivery_latency_seconds_count 2\n")
	}, "a fan-out to four members, measured on two loops")
}
