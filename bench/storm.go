package bench

import (
	"context"
	"errors"
	"flag"
	"sync"
	"sync/atomic"
	"time"

	"sluice/auth"
	"sluice/bench/hdr"
	"sluice/bench/swarm"
	"sluice/frame"
)

// Storm opens connections and closes each as soon as its handshake is done,
// as many at a time as --opening says.
type Storm struct {
	Warmup, Duration time.Duration
}

// Flags declares the flags.
func (s *Storm) Flags(fs *flag.FlagSet) {
	fs.DurationVar(&s.Warmup, "warmup", time.Second, "time before the measurement")
	fs.DurationVar(&s.Duration, "duration", 10*time.Second, "time to measure")
}

// Validate returns the first problem.
func (s *Storm) Validate() error {
	return errors.Join(
		lasting("--warmup", s.Warmup, 0),
		lasting("--duration", s.Duration, time.Millisecond),
	)
}

// stormSources spreads the connections over addresses: each port that was used
// waits for a minute before it can be used again.
const stormSources = 250

// stormLoop is what the connections of one loop share.
type stormLoop struct {
	recording  bool
	handshakes uint64
	latency    hdr.Histogram
}

// Run puts the load on.
func (s *Storm) Run(ctx context.Context, r *Rig) error {
	if r.scheme != "ws" {
		return errors.New("--url: a storm is one of handshakes, which a bare server has none of")
	}
	if err := r.launch(stormSources * portsPerSource); err != nil {
		return err
	}
	r.swarm.Each(func(l *swarm.Loop) { l.Data = &stormLoop{} })
	var over atomic.Bool
	opening := make(chan error, 1)
	go func() {
		opening <- r.swarm.Open(ctx, maxHandshakes, func(l *swarm.Loop, i int) (swarm.Plan, bool) {
			return s.plan(r, l, i), !over.Load()
		})
	}()
	m, err := r.measure(ctx, s.Warmup, s.Duration, func(l *swarm.Loop, on bool) { l.Data.(*stormLoop).recording = on })
	over.Store(true)
	if err := errors.Join(err, <-opening); err != nil {
		return err
	}
	s.report(r, m)
	return nil
}

// maxHandshakes bounds a run whatever its duration.
const maxHandshakes = 1 << 30

func (s *Storm) plan(r *Rig, l *swarm.Loop, i int) swarm.Plan {
	return swarm.Plan{
		Role:    &stormClient{loop: l.Data.(*stormLoop), began: swarm.Now()},
		Request: r.request(auth.Claims{User: userName(i), Groups: []string{groupName(0)}}),
		Hold:    true, // keeps its place until it is closed
	}
}

func (s *Storm) report(r *Rig, m measurement) {
	var mu sync.Mutex
	var all stormLoop
	r.swarm.Each(func(l *swarm.Loop) {
		mu.Lock()
		defer mu.Unlock()
		one := l.Data.(*stormLoop)
		all.handshakes += one.handshakes
		all.latency.Merge(&one.latency)
	})
	r.Report.add("handshakes_per_second", float64(all.handshakes)/m.took.Seconds(), "connected, upgraded and closed")
	r.addCPU(m, all.handshakes, 1e3, "thousand")
	r.Report.addLatency(&all.latency, "from connecting to the server's answer")
}

// stormClient closes as soon as it is open.
type stormClient struct {
	loop  *stormLoop
	began int64
	open  bool
}

// Open implements swarm.Role.
func (c *stormClient) Open(conn *swarm.Conn) {
	c.open = true
	if c.loop.recording {
		c.loop.latency.Record(time.Duration(swarm.Now() - c.began))
	}
	conn.Close(frame.CloseNormal)
}

// Message implements swarm.Role.
func (c *stormClient) Message(*swarm.Conn, frame.Opcode, []byte) {}

// Closed implements swarm.Role.
func (c *stormClient) Closed(*swarm.Conn, swarm.End) {
	if c.open && c.loop.recording {
		c.loop.handshakes++
	}
}
