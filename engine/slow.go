package engine

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"time"
)

// SlowConsumer is a connection for which bytes wait.
type SlowConsumer struct {
	QueuedBytes int
	Age         time.Duration // of the oldest of these bytes, at most; exact to some ticks while the client reads
	Remote      string        // address of the client
	Endpoint    []slog.Attr   // what its endpoint says of itself, if it is a Describer
}

// worseFirst orders by bytes, then by age.
func worseFirst(a, b SlowConsumer) int {
	return cmp.Or(cmp.Compare(b.QueuedBytes, a.QueuedBytes), cmp.Compare(b.Age, a.Age))
}

// SlowConsumers returns the n connections for which most waits, the worst first.
// It asks every loop and waits for their answers until ctx ends; a loop that
// does not answer is left out. Any goroutine, after Start.
func (e *Engine) SlowConsumers(ctx context.Context, n int) []SlowConsumer {
	n = max(n, 0)
	answers := make(chan []SlowConsumer, len(e.loops))
	asked := 0
	for _, l := range e.loops {
		if l.Post(&census{loop: l, most: n, answers: answers}) {
			asked++
		}
	}
	var all []SlowConsumer
	for range asked {
		select {
		case worst := <-answers:
			all = append(all, worst...)
		case <-ctx.Done(): // the rest only as far as it is there
		}
	}
	slices.SortStableFunc(all, worseFirst)
	return all[:min(n, len(all))]
}

// census is the task that asks one loop for its slow consumers.
type census struct {
	loop    *Loop
	most    int
	answers chan<- []SlowConsumer // has room for the answer
}

func (t *census) Run() {
	var worst []*Conn // the longest queue first, never more than are asked for
	for _, c := range t.loop.backlog {
		if c.state == stateClosed || c.QueuedBytes() == 0 {
			continue // it leaves the list at the next tick
		}
		at, _ := slices.BinarySearchFunc(worst, c, longerFirst)
		if at < t.most {
			worst = slices.Insert(worst[:min(len(worst), t.most-1)], at, c)
		}
	}
	answer := make([]SlowConsumer, 0, len(worst))
	for _, c := range worst {
		answer = append(answer, c.describe())
	}
	t.answers <- answer
}

func longerFirst(a, b *Conn) int { return cmp.Compare(b.QueuedBytes(), a.QueuedBytes()) }

func (c *Conn) describe() SlowConsumer {
	l := c.loop
	s := SlowConsumer{
		QueuedBytes: c.QueuedBytes(),
		Age:         time.Duration(l.now-c.backlog.since) * l.engine.cfg.tick,
		Remote:      remoteName(c.RemoteAddr()),
	}
	if d, ok := c.endpoint.(Describer); ok {
		s.Endpoint = d.Describe(nil)
	}
	return s
}
