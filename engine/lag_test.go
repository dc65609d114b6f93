package engine

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/testkit"
)

// TestLag: a loop that comes to its tick late says so, also while it is stuck.
func TestLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(timed, echo)
		r.handled.Store(r.engine.nanos())
		r.tick()
		r.turn()
		if r.Lag() != 0 || !r.engine.Responsive(time.Second) {
			t.Errorf("at once: lag %v", r.Lag())
		}
		r.tick()
		time.Sleep(3 * time.Second)
		r.tick() // the older one counts
		if r.Lag() != 3*time.Second || r.engine.Responsive(2*time.Second) {
			t.Errorf("stuck: lag %v", r.Lag())
		}
		r.turn()
		if r.Lag() != 3*time.Second || !r.engine.Responsive(2*time.Second) {
			t.Errorf("came late: lag %v", r.Lag())
		}
		r.tick()
		r.turn()
		if r.Lag() != 0 {
			t.Errorf("recovered: lag %v", r.Lag())
		}
		var page bytes.Buffer
		r.engine.metrics.WritePrometheus(&page)
		if !strings.Contains(page.String(), "\nsluice_loop_lag_seconds_count 3\n") ||
			!strings.Contains(page.String(), "\nsluice_loop_lag_seconds_bucket{le=\"2.5\"} 2\n") {
			t.Error("the lags are not in the histogram")
		}
	})
}

// TestDeliveryLatency: one publication in a tick is measured, from its stamp to
// the end of the writes that it made necessary.
func TestDeliveryLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(timed, echo)
		conns := r.crowd(flushesPerTurn + 10)
		r.wait(r.engine.cfg.tick)
		stamp := r.Stamp()
		if stamp == 0 || r.Stamp() != 0 {
			t.Fatal("not the first one in the tick, or more than one")
		}
		r.Delivered(stamp) // sent to nobody here
		m := sealed(10)
		for _, c := range conns {
			c.Send(m)
		}
		r.Delivered(stamp)
		count := func() string {
			var page bytes.Buffer
			r.engine.metrics.WritePrometheus(&page)
			_, rest, _ := strings.Cut(page.String(), "\nsluice_delivery_latency_seconds_sum ")
			sum, _, _ := strings.Cut(rest, "\nsluice_dropped")
			return strings.Split(sum, "\n#")[0]
		}
		time.Sleep(20 * time.Millisecond)
		r.turn()
		if got := count(); !strings.HasSuffix(got, "count 0") {
			t.Errorf("measured before all was written: %s", got)
		}
		conns[0].Send(m) // somebody's else, behind it
		time.Sleep(20 * time.Millisecond)
		r.turn()
		if got := count(); got != "0.04\nsluice_delivery_latency_seconds_count 1" {
			t.Errorf("sum and count: %s", got)
		}
	})
}

// TestSlowConnections counts them while they are slow, and not when they are
// gone.
func TestSlowConnections(t *testing.T) {
	r := newRig(Config{SlowConsumerBytes: 1000, MaxQueueBytes: 10_000}, echo)
	_, gc := r.open()
	_, second := r.open()
	for _, gc := range []*fakeConn{gc, second} {
		gc.room = 0
		gc.receive(testkit.MaskedFrame(0x82, make([]byte, 5000)))
	}
	if got := r.engine.SlowConnections(); got != 2 {
		t.Errorf("%d slow", got)
	}
	gc.drain()
	r.checkBacklogs()
	second.hangUp()
	if got := r.engine.SlowConnections(); got != 0 {
		t.Errorf("%d slow afterwards", got)
	}
}
