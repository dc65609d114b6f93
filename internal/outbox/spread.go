package outbox

import (
	"context"
	"time"
)

// Spread does something with each of all, evenly over the window, and returns when
// it has done so or ctx has ended.
func Spread[T any](ctx context.Context, window time.Duration, all []T, do func(T)) {
	if len(all) == 0 {
		return
	}
	pause := time.NewTicker(max(time.Microsecond, window/time.Duration(len(all))))
	defer pause.Stop()
	for _, one := range all {
		do(one)
		select {
		case <-pause.C:
		case <-ctx.Done():
			return
		}
	}
}
