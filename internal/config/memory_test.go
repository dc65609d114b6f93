package config

import (
	"math"
	"runtime/debug"
	"testing"
)

func TestMemoryApply(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(math.MaxInt64)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
	for _, tt := range []struct {
		name             string
		memory           Memory
		gogc, gomemlimit string
		percent          int
		limit            int64
	}{
		{"defaults", Memory{}, "", "", 25, math.MaxInt64},
		{"configured", Memory{GCPercent: 70, Limit: 1 << 30}, "", "", 70, 1 << 30},
		{"variables first", Memory{GCPercent: 70, Limit: 1 << 30}, "100", "2GiB", 100, math.MaxInt64},
		{"one of them", Memory{Limit: 1 << 30}, "100", "", 100, 1 << 30},
	} {
		t.Run(tt.name, func(t *testing.T) {
			debug.SetGCPercent(100)
			debug.SetMemoryLimit(math.MaxInt64)
			tt.memory.Apply(tt.gogc, tt.gomemlimit)
			if got := debug.SetGCPercent(100); got != tt.percent {
				t.Errorf("GC percent %d, want %d", got, tt.percent)
			}
			if got := debug.SetMemoryLimit(-1); got != tt.limit {
				t.Errorf("limit %d, want %d", got, tt.limit)
			}
		})
	}
}

func TestMemoryValidate(t *testing.T) {
	for _, tt := range []struct {
		memory Memory
		key    string // "" for none
	}{
		{Memory{}, ""},
		{Memory{GCPercent: 100, Limit: 32 << 20}, ""},
		{Memory{GCPercent: -1}, "memory.gc_percent"},
		{Memory{Limit: -1}, "memory.limit"},
		{Memory{Limit: 1 << 20}, "memory.limit"},
	} {
		var got []string
		tt.memory.validate(func(key, _ string) { got = append(got, key) })
		if len(got) > 1 || len(got) == 1 && got[0] != tt.key || len(got) == 0 && tt.key != "" {
			t.Errorf("%+v: got %q, want %q", tt.memory, got, tt.key)
		}
	}
}
