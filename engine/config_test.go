package engine

import (
	"math"
	"slices"
	"testing"
	"time"

	"sluice/frame"
	"sluice/internal/metrics"
)

func TestConfigDefaults(t *testing.T) {
	problems := func(c Config) (keys []string) {
		c.Validate(func(key, problem string) {
			if problem == "" {
				t.Errorf("%s: the problem has no name", key)
			}
			keys = append(keys, key)
		})
		return keys
	}
	for _, fdLimit := range []int{0, 16, 1024, 20_000, 1 << 30} {
		c := Config{}.withDefaults(fdLimit)
		if keys := problems(c); keys != nil {
			t.Errorf("%d descriptors: the defaults have problems in %q", fdLimit, keys)
		}
		if c.MaxConnections < 1 || c.MaxPendingHandshakes < 1 || fdLimit > 1000 && c.MaxConnections+c.MaxPendingHandshakes >= fdLimit {
			t.Errorf("%d descriptors: %d connections, %d handshakes", fdLimit, c.MaxConnections, c.MaxPendingHandshakes)
		}
	}
	small := Config{MaxQueueBytes: 64 << 10}
	if keys := problems(small); keys != nil {
		t.Errorf("a small queue alone: problems in %q", keys)
	}
	if got := small.withDefaults(0).SlowConsumerBytes; got != 16<<10 {
		t.Errorf("low mark of a small queue: %d", got)
	}
}

func TestConfigValidate(t *testing.T) {
	tests := []struct {
		cfg  Config
		want []string // keys
	}{
		{Config{}, nil},
		{Config{Loops: 257}, []string{"loops"}},
		{Config{MaxWaitingHandshakes: 11, MaxPendingHandshakes: 10}, []string{"max_waiting_handshakes"}},
		{Config{Loops: -1, InboxTasks: -1, RetryAfter: -1, IdleTimeout: -1}, []string{"loops", "inbox_tasks", "retry_after", "idle_timeout"}},
		{Config{MaxQueueBytes: 2 << 30, MaxMessageSize: 2 << 30}, []string{"max_message_size", "max_queue_bytes"}},
		{Config{MaxNodeQueueBytes: math.MaxInt}, nil},
		{Config{PongTimeout: time.Millisecond}, []string{"pong_timeout"}},
		{Config{MaxHeadBytes: 100}, []string{"max_head_bytes"}},
		{Config{SlowConsumerBytes: 2 << 20}, []string{"slow_consumer_bytes"}},
		{Config{Compression: frame.DeflateConfig{Enabled: true, Level: 9}}, []string{"compression.level"}},
	}
	for _, tt := range tests {
		var got []string
		tt.cfg.Validate(func(key, _ string) { got = append(got, key) })
		if !slices.Equal(got, tt.want) {
			t.Errorf("%+v: problems in %q, want %q", tt.cfg, got, tt.want)
		}
	}
}

// TestLabels: what the engine counts by cause has a series of its own, and
// every cause has a name and an initiator.
func TestLabels(t *testing.T) {
	m := metrics.New()
	closed, rejected := m.ConnectionsClosed, m.HandshakeRejections
	names := map[string]bool{}
	for _, c := range Causes() {
		if c.String() == "" || names[c.String()] || c.Initiator() != "client" && c.Initiator() != "server" {
			t.Errorf("cause %d: %q, %q", c, c, c.Initiator())
		}
		names[c.String()] = true
		if c == CauseHandshakeTimeout || c == CauseHandshakeRefused {
			continue // ends no connection that was opened
		}
		if closed.With(c.String(), c.Initiator()) == closed.With("no", "such") {
			t.Errorf("connections closed by %s have no series", c)
		}
	}
	for _, label := range []string{"capacity", "draining", "head_too_large", "malformed", "method", "not_websocket",
		"pending_limit", "version", "client_gone", "handshake_timeout", "internal_error"} {
		if rejected.With(label) == rejected.With("no such") {
			t.Errorf("handshakes rejected for %s have no series", label)
		}
	}
	if m.DroppedMessages.With("slow_consumer") == m.DroppedMessages.With("no such") {
		t.Error("messages dropped for a slow consumer have no series")
	}
}
