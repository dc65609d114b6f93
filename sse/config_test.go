package sse

import (
	"slices"
	"testing"
	"time"
)

func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  Config
		want []string // keys with a problem
	}{
		{"nothing", Config{}, nil},
		{"the defaults", Config{}.WithDefaults(), nil},
		{"all wrong", Config{MaxStreams: -1, MaxQueueBytes: 2 << 30, MaxNodeQueueBytes: -1, HeartbeatInterval: 2 * time.Hour, Retry: -1},
			[]string{"max_streams", "max_queue_bytes", "max_node_queue_bytes", "heartbeat_interval", "retry"}},
	} {
		var got []string
		tt.cfg.Validate(func(key, _ string) { got = append(got, key) })
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
