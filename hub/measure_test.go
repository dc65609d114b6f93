package hub_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/hub"
	"sluice/internal/metrics"
)

// timedLoop is a loop that measures.
type timedLoop struct {
	stepLoop
	stamp     int64 // what Stamp returns next
	delivered []int64
	link      *fakeLink // what it has got at the time of Delivered is kept
	seen      int
}

var _ hub.Stopwatch = (*timedLoop)(nil)

func (l *timedLoop) Stamp() int64 { return l.stamp }

func (l *timedLoop) Delivered(stamp int64) {
	l.delivered = append(l.delivered, stamp)
	l.seen = len(l.link.got)
}

// TestMeasure: a stamped publication is reported on every loop it goes to, after
// its messages were sent; one without a stamp is not, and the size of every
// fan-out is recorded.
func TestMeasure(t *testing.T) {
	w := newWorld(t, 2, hub.Tenant{})
	m := metrics.New()
	w.node.Measure(m.FanOut)
	var loops []*timedLoop
	var clients []*client
	for i := range 2 {
		l := &timedLoop{stepLoop: stepLoop{index: i}}
		c := w.openOn(l, "g")
		l.link = c.link
		loops, clients = append(loops, l), append(clients, c)
	}
	loops[0].stamp = 7
	clients[0].send("g", "measured")
	if loops[1].delivered != nil {
		t.Error("reported before it was delivered")
	}
	loops[1].drain()
	loops[0].stamp = 0
	clients[0].send("g", "not measured")
	clients[0].send("nobody here", "nothing to deliver")
	loops[1].drain()
	for i, l := range loops {
		if !slices.Equal(l.delivered, []int64{7}) || l.seen != 1 {
			t.Errorf("loop %d: stamps %v, the last after %d messages", i, l.delivered, l.seen)
		}
	}
	var page bytes.Buffer
	m.WritePrometheus(&page)
	for _, want := range []string{"members_sum 4\n", "members_count 3\n", `members_bucket{le="0"} 1`} {
		if !strings.Contains(page.String(), "\nsluice_fan_out_"+want) {
			t.Errorf("no %q", want)
		}
	}
}

// TestDraining: the client hears when to come back, and asks for nothing more.
func TestDraining(t *testing.T) {
	w := newWorld(t, 1, hub.Tenant{})
	a, b := w.open(0, "g"), w.open(0, "g")
	a.Draining(3200 * time.Millisecond)
	a.Draining(time.Second)
	a.say(`{"type":"sendToGroup","group":"g","dataType":"text","data":"too late","ackId":1}`)
	equal(t, "to the one who is told", a.link.take(),
		[]string{`{"type":"system","event":"disconnected","message":"service restart","reconnectAfterMs":3200}`})
	equal(t, "to a neighbour", b.link.take(), nil)
	b.send("g", "still served")
	equal(t, "before the close", a.link.data(t), []string{"still served"})
	if a.link.closed {
		t.Error("closed: that is for the caller")
	}
}
