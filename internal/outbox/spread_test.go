package outbox

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		begun := time.Now()
		note := func(int) { at = append(at, time.Since(begun)) }
		Spread(t.Context(), time.Second, nil, note)
		Spread(t.Context(), 3*time.Second, []int{1, 2, 3}, note)
		if want := []time.Duration{0, time.Second, 2 * time.Second}; !slices.Equal(at, want) {
			t.Errorf("at %v, want %v", at, want)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		at, begun = nil, time.Now()
		Spread(ctx, time.Hour, []int{1, 2}, note)
		if want := []time.Duration{0}; !slices.Equal(at, want) || time.Since(begun) != time.Second {
			t.Errorf("cut short: at %v, ended after %v", at, time.Since(begun))
		}
	})
}
