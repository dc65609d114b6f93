package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"sluice/bench/swarm"
)

// Rig is what a scenario works with: the server as Common describes it, a swarm
// of connections, and the report to fill in.
type Rig struct {
	*Common
	Report *Report

	swarm    *swarm.Swarm
	watched  atomic.Pointer[swarm.Swarm] // the same, for the sampler
	server   Process
	progress *progress
	sampling sync.WaitGroup
	done     chan struct{}
}

func newRig(name string, common Common, out io.Writer) (*Rig, error) {
	r := &Rig{Common: &common, server: Process{common.ServerPID}, done: make(chan struct{})}
	if r.hasServer() {
		if _, err := r.server.Usage(); err != nil {
			return nil, err
		}
	}
	r.Report = &Report{
		Scenario:    name,
		Started:     time.Now(),
		Environment: environment(r.server),
		Failed:      map[string]int{},
		Lost:        map[string]int{},
	}
	r.progress = &progress{out: out, name: name}
	r.sampling.Go(r.sample)
	return r, nil
}

func (r *Rig) stop() {
	close(r.done)
	r.sampling.Wait()
	r.progress.clear()
	if r.swarm != nil {
		r.swarm.Stop()
	}
}

// launch makes the swarm, for so many connections at a time.
func (r *Rig) launch(connections int) error {
	loops := r.Loops
	if loops == 0 {
		loops = runtime.GOMAXPROCS(0)
	}
	s, err := r.newSwarm(loops, connections)
	if err != nil {
		return err
	}
	r.swarm = s
	r.watched.Store(s)
	return nil
}

// newSwarm returns a swarm for so many connections at a time.
func (r *Rig) newSwarm(loops, connections int) (*swarm.Swarm, error) {
	return swarm.New(swarm.Config{
		Target:   r.target,
		TLS:      r.tlsConfig(),
		Loops:    loops,
		Sources:  r.sources(connections),
		Opening:  r.Opening,
		Rate:     r.Rate,
		Patience: r.Patience,
		Spin:     r.Spin,
	})
}

// portsPerSource is how many connections to one server we ask of one source
// address. Linux has 28,232 ports to give by default.
const portsPerSource = 16000

// sources returns how many addresses to connect from; 0 leaves it to the kernel
// for a server that is not in 127.0.0.0/8.
func (r *Rig) sources(connections int) int {
	a := r.target.Addr()
	if !a.Is4() || !a.IsLoopback() {
		return 0
	}
	if r.Sources > 0 {
		return r.Sources
	}
	return connections/portsPerSource + 1
}

// open opens all connections or returns an error that says why not.
func (r *Rig) open(ctx context.Context, n int, plan func(l *swarm.Loop, i int) swarm.Plan) error {
	before := r.swarm.Counts().Opened
	err := r.swarm.Open(ctx, n, func(l *swarm.Loop, i int) (swarm.Plan, bool) { return plan(l, i), true })
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if counts := r.swarm.Counts(); counts.Opened-before < n {
		return errors.Join(fmt.Errorf("only %d of %d connections opened; the others: %s",
			counts.Opened-before, n, list(counts.Failed)), err)
	}
	return err
}

func (r *Rig) hasServer() bool { return r.server.PID != 0 }

// usage returns what the server uses; nothing where there is no process to ask.
func (r *Rig) usage() Usage {
	if !r.hasServer() {
		return Usage{}
	}
	u, _ := r.server.Usage() // its end shows in the connections
	return u
}

// sampleInterval is short enough for a chart and long enough not to disturb.
const sampleInterval = 500 * time.Millisecond

// sample is a goroutine that watches the server until stop.
func (r *Rig) sample() {
	ticker := time.NewTicker(sampleInterval)
	defer ticker.Stop()
	for {
		select {
		case <-r.done:
			return
		case <-ticker.C:
			var open, failed int
			if s := r.watched.Load(); s != nil {
				open, failed = s.Progress()
			}
			r.progress.draw(open, failed)
			if r.hasServer() {
				r.Report.Series = append(r.Report.Series, Sample{time.Since(r.Report.Started).Seconds(), open, r.usage()})
			}
		}
	}
}

// measurement is what one stretch of time has cost.
type measurement struct {
	took time.Duration
	cpu  Usage // difference of the times
}

// measure lets the load run for the warm-up, then for the duration with
// recording on. record runs on every loop.
func (r *Rig) measure(ctx context.Context, warmup, duration time.Duration, record func(l *swarm.Loop, on bool)) (m measurement, err error) {
	r.phase("warming up")
	if err := sleep(ctx, warmup); err != nil {
		return m, err
	}
	r.phase("measuring")
	start, before := time.Now(), r.usage()
	r.swarm.Each(func(l *swarm.Loop) { record(l, true) })
	err = sleep(ctx, duration)
	r.swarm.Each(func(l *swarm.Loop) { record(l, false) })
	after := r.usage()
	m.took = time.Since(start)
	m.cpu.User, m.cpu.System = after.User-before.User, after.System-before.System
	return m, err
}

// addCPU adds what the server spent on n events, per so many of them.
func (r *Rig) addCPU(m measurement, n uint64, per float64, what string) {
	if !r.hasServer() || n == 0 {
		return
	}
	cost := func(d time.Duration) float64 { return d.Seconds() * per / float64(n) }
	r.Report.add("server_cpu_seconds_per_"+what, cost(m.cpu.CPU()), "processor time of the server, user and system")
	r.Report.add("server_user_seconds_per_"+what, cost(m.cpu.User), "of that in the program")
	r.Report.add("server_cpu_percent", 100*m.cpu.CPU().Seconds()/m.took.Seconds(), "of one core")
}

// settle waits until the server's memory has not changed for three seconds: the
// collector has run and freed pages have gone back.
func (r *Rig) settle(ctx context.Context, most time.Duration) (Usage, error) {
	last, same := r.usage(), 0
	for deadline := time.Now().Add(most); r.hasServer() && same < 3 && time.Now().Before(deadline); {
		if err := sleep(ctx, time.Second); err != nil {
			return last, err
		}
		now := r.usage()
		same++
		if diff := now.RSS - last.RSS; diff > 64<<10 || diff < -64<<10 {
			same = 0
		}
		last = now
	}
	return last, nil
}

// conclude adds what every scenario reports.
func (r *Rig) conclude() {
	counts := r.swarm.Counts()
	r.Report.Failed, r.Report.Lost = counts.Failed, counts.Lost
	if counts.Opened > 0 { // in a storm none is meant to stay
		r.Report.add("connections_opened", float64(counts.Opened), "connections that became ready")
	}
	r.Report.add("connections_failed", float64(sum(counts.Failed)), "that did not become ready")
	r.Report.add("connections_lost", float64(sum(counts.Lost)), "that ended without having been asked to")
	r.Report.Seconds = time.Since(r.Report.Started).Seconds()
}

func sum(m map[string]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
