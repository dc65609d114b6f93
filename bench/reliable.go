package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"sluice/auth"
	"sluice/bench/hdr"
	"sluice/bench/swarm"
)

// Reliable cuts the connections of reliable sessions at random while messages are
// published to all of them, lets the clients come back, and counts what is lost or
// comes twice.
type Reliable struct {
	Connections   int
	Cuts, Publish float64
	Size          int
	Away          time.Duration
	Duration      time.Duration
	Patience      time.Duration
	Seed          uint64
}

// Flags declares the flags.
func (b *Reliable) Flags(fs *flag.FlagSet) {
	fs.IntVar(&b.Connections, "connections", 1000, "reliable sessions, all in one group")
	fs.Float64Var(&b.Cuts, "cuts", 100, "connections to cut per second, each by an end of file or a reset")
	fs.Float64Var(&b.Publish, "publish", 20, "messages to publish per second")
	fs.IntVar(&b.Size, "size", 128, "`bytes` of data in a message")
	fs.DurationVar(&b.Away, "away", 2*time.Second, "the most time that a client stays away")
	fs.DurationVar(&b.Duration, "duration", 10*time.Second, "time to publish and cut")
	fs.DurationVar(&b.Patience, "wait", 30*time.Second, "the most time to wait for the last messages")
	fs.Uint64Var(&b.Seed, "seed", 1, "of the random numbers")
}

// Validate returns the first problem.
func (b *Reliable) Validate() error {
	var err error
	for name, v := range map[string]float64{"--cuts": b.Cuts, "--publish": b.Publish} {
		if v <= 0 || v > 1e5 {
			err = fmt.Errorf("%s %v: must be above 0 and at most 100000", name, v)
		}
	}
	return errors.Join(err,
		between("--connections", b.Connections, 1, maxConnections),
		between("--size", b.Size, stampSize, 1<<20),
		lasting("--away", b.Away, time.Millisecond),
		lasting("--duration", b.Duration, time.Millisecond),
		lasting("--wait", b.Patience, 0),
	)
}

// reliableRun is one run.
type reliableRun struct {
	*Reliable
	rig       *Rig
	publisher *pacer
	over      atomic.Bool // no more is published and nobody is cut
	closed    atomic.Bool // nobody comes back
}

// reliableLoop is what the clients of one loop share.
type reliableLoop struct {
	run      *reliableRun
	random   *rand.Rand
	open     []*reliableClient // those that can be cut
	all      []*reliableClient
	owed     float64
	last     int64
	counts   reliableCounts
	recovery hdr.Histogram // from the first try to come back to `connected`
	latency  hdr.Histogram
}

type reliableCounts struct {
	received, lost, duplicated, reordered, repeated uint64
	cuts, recovered, afresh                         uint64
}

func (c *reliableCounts) add(o reliableCounts) {
	c.received += o.received
	c.lost += o.lost
	c.duplicated += o.duplicated
	c.reordered += o.reordered
	c.repeated += o.repeated
	c.cuts += o.cuts
	c.recovered += o.recovered
	c.afresh += o.afresh
}

// Run puts the load on.
func (b *Reliable) Run(ctx context.Context, r *Rig) error {
	if r.Key == "" {
		return errors.New("--key is missing: sessions are a hub's, and each has a token of its own")
	}
	if err := r.launch(b.Connections * 4); err != nil { // ports wait a while before they can be used again
		return err
	}
	run := &reliableRun{Reliable: b, rig: r}
	run.publisher = newPacer(run)
	r.swarm.Each(func(l *swarm.Loop) {
		l.Data = &reliableLoop{run: run, random: rand.New(rand.NewPCG(b.Seed, uint64(l.Index())))}
	})
	r.phase("opening")
	err := r.open(ctx, b.Connections, func(l *swarm.Loop, i int) swarm.Plan {
		loop := l.Data.(*reliableLoop)
		c := &reliableClient{loop: loop, number: i}
		loop.all = append(loop.all, c)
		return c.plan()
	})
	if err == nil {
		err = r.open(ctx, 1, func(*swarm.Loop, int) swarm.Plan {
			return swarm.Plan{Role: run.publisher, Request: r.request(auth.Claims{Roles: []string{publisherRole}}), Hold: true}
		})
	}
	if err != nil {
		return err
	}
	r.phase("cutting")
	run.publisher.begin()
	r.swarm.Each(func(l *swarm.Loop) { l.Data.(*reliableLoop).begin(l) })
	if err := sleep(ctx, b.Duration); err != nil {
		return err
	}
	run.over.Store(true)
	r.phase("waiting for the last messages")
	run.publisher.stop()
	for end := time.Now().Add(b.Patience); !run.done() && time.Now().Before(end); {
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	run.report()
	run.closed.Store(true)
	r.swarm.CloseAll()
	return nil
}

// done reports whether every client is there and has the last message.
func (run *reliableRun) done() bool {
	var missing atomic.Int64
	total := run.publisher.published.Load()
	run.rig.swarm.Each(func(l *swarm.Loop) {
		for _, c := range l.Data.(*reliableLoop).all {
			if c.next < total {
				missing.Add(1)
			}
		}
	})
	return missing.Load() == 0
}

func (run *reliableRun) report() {
	var mu sync.Mutex
	var all reliableCounts
	var recovery, latency hdr.Histogram
	total := run.publisher.published.Load()
	run.rig.swarm.Each(func(l *swarm.Loop) {
		mu.Lock()
		defer mu.Unlock()
		loop := l.Data.(*reliableLoop)
		for _, c := range loop.all {
			loop.counts.lost += total - c.base - c.distinct
		}
		all.add(loop.counts)
		recovery.Merge(&loop.recovery)
		latency.Merge(&loop.latency)
	})
	r := run.rig.Report
	r.add("published", float64(total), "messages, each for every session")
	r.add("received", float64(all.received), "copies")
	r.add("lost", float64(all.lost), "copies that never came, to sessions that were not told to start afresh")
	r.add("duplicated", float64(all.duplicated), "copies that came twice under different numbers")
	r.add("reordered", float64(all.reordered), "copies that came after a later one")
	r.add("repeated", float64(all.repeated), "copies that came again under a number that the client knew, as they may")
	r.add("cuts", float64(all.cuts), "connections that were cut")
	r.add("recovered", float64(all.recovered), "sessions that went on, each time")
	r.add("afresh", float64(all.afresh), "sessions that were told to start afresh")
	if recovery.Count() > 0 {
		ms := func(q float64) float64 { return float64(recovery.Quantile(q)) / float64(time.Millisecond) }
		r.add("recovery_p50_ms", ms(0.5), "from connecting again to going on, median")
		r.add("recovery_p99_ms", ms(0.99), "from connecting again to going on, 99 of 100 are faster")
	}
	r.addLatency(&latency, "from publishing to arriving, time away included")
}

// begin has the clients of the loop cut.
func (l *reliableLoop) begin(on *swarm.Loop) {
	l.last = swarm.Now()
	l.act(on)
}

// act cuts what is due by now, and acknowledges what has come.
func (l *reliableLoop) act(on *swarm.Loop) {
	now := swarm.Now()
	if !l.run.over.Load() {
		l.owed += l.run.Cuts * time.Duration(now-l.last).Seconds() / float64(l.run.rig.swarm.Loops())
		for ; l.owed >= 1 && len(l.open) > 0; l.owed-- {
			l.counts.cuts++
			l.open[l.random.IntN(len(l.open))].conn.Abort(l.random.IntN(2) == 0)
		}
	}
	l.last = now
	for _, c := range l.open {
		c.acknowledge()
	}
	on.At(now+int64(reliableTick), l.act)
}

// reliableTick is how often the clients of a loop are looked after.
const reliableTick = 50 * time.Millisecond
