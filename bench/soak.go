package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"sync"
	"time"

	"sluice/auth"
	"sluice/bench/swarm"
)

// Soak lets connections come, go, publish and stall at random for a long time,
// and says what of the server's memory, descriptors and goroutines is left when
// all have gone. The state to compare with is taken after as many connections
// have been there once: what a server keeps for good it has then.
type Soak struct {
	Connections, Groups    int
	Churn, Publish, Stalls float64
	StallTime              time.Duration
	Duration, Settle       time.Duration
	Seed                   uint64
}

// Flags declares the flags.
func (s *Soak) Flags(fs *flag.FlagSet) {
	fs.IntVar(&s.Connections, "connections", 1000, "connections to keep open")
	fs.IntVar(&s.Groups, "groups", 0, "groups; each connection is in one (default: a tenth of the connections)")
	fs.Float64Var(&s.Churn, "churn", 50, "connections that go per second, and come again")
	fs.Float64Var(&s.Publish, "publish", 100, "messages to publish per second")
	fs.Float64Var(&s.Stalls, "stalls", 2, "connections per second that stop reading for a while")
	fs.DurationVar(&s.StallTime, "stall-time", 10*time.Second, "the most time a connection does not read")
	fs.DurationVar(&s.Duration, "duration", time.Minute, "time to go on")
	fs.DurationVar(&s.Settle, "settle", 2*time.Minute, "the most time to wait for memory to come back")
	fs.Uint64Var(&s.Seed, "seed", 1, "of the random numbers")
}

// Validate returns the first problem.
func (s *Soak) Validate() error {
	if s.Groups == 0 {
		s.Groups = max(1, s.Connections/10)
	}
	var err error
	for name, v := range map[string]float64{"--churn": s.Churn, "--publish": s.Publish, "--stalls": s.Stalls} {
		if v < 0 || v > 1e5 {
			err = fmt.Errorf("%s %v: must be 0 to 100000", name, v)
		}
	}
	return errors.Join(err,
		between("--connections", s.Connections, 1, maxConnections),
		between("--groups", s.Groups, 1, s.Connections),
		lasting("--stall-time", s.StallTime, time.Millisecond),
		lasting("--duration", s.Duration, time.Millisecond),
		lasting("--settle", s.Settle, 0),
	)
}

// Run puts the load on.
func (s *Soak) Run(ctx context.Context, r *Rig) error {
	if !r.speaksSluice() {
		return errors.New("--key is missing: a soak publishes, which needs tokens")
	}
	if err := r.launch(s.Connections * 4); err != nil { // ports wait a while before they can be used again
		return err
	}
	r.swarm.Each(func(l *swarm.Loop) { l.Data = newCrowd(s, r, l) })
	if err := s.open(ctx, r); err != nil {
		return err
	}
	r.swarm.CloseAll()
	r.phase("settling")
	if _, err := r.settle(ctx, min(s.Settle, 30*time.Second)); err != nil {
		return err
	}
	before, err := r.look(ctx)
	if err != nil {
		return err
	}
	if err := s.open(ctx, r); err != nil {
		return err
	}
	r.phase("soaking")
	r.swarm.Each(func(l *swarm.Loop) { l.Data.(*crowd).begin(l) })
	err = sleep(ctx, s.Duration)
	r.swarm.Each(func(l *swarm.Loop) { l.Data.(*crowd).over = true })
	if err != nil {
		return err
	}
	survivors, _ := r.swarm.Progress()
	r.Report.add("open_at_end", float64(survivors), "connections before all were closed")
	r.swarm.CloseAll()
	r.phase("waiting for memory to come back")
	after, err := r.back(ctx, before, s.Settle)
	if err != nil {
		return err
	}
	s.report(r, before, after)
	return nil
}

func (s *Soak) open(ctx context.Context, r *Rig) error {
	r.phase("opening")
	return r.open(ctx, s.Connections, func(l *swarm.Loop, i int) swarm.Plan { return l.Data.(*crowd).plan(i) })
}

// claims let the connection i publish to its group and to no other.
func (s *Soak) claims(i int) auth.Claims {
	group := groupName(i % s.Groups)
	return auth.Claims{User: userName(i), Groups: []string{group}, Roles: []string{publisherRole + "." + group}}
}

func (s *Soak) report(r *Rig, before, after remains) {
	var mu sync.Mutex
	var all crowdCounts
	r.swarm.Each(func(l *swarm.Loop) {
		mu.Lock()
		defer mu.Unlock()
		all.add(l.Data.(*crowd).counts)
	})
	report := r.Report
	report.add("published", float64(all.published), "messages")
	report.add("received", float64(all.received), "copies")
	report.add("left", float64(all.left), "connections that went and came again")
	report.add("stalled", float64(all.stalled), "times that a connection stopped reading")
	report.add("stalled_closed", float64(all.stalledClosed), "connections that the server closed while they did not read")
	if r.hasServer() {
		report.add("rss_before_mib", float64(before.rss)/(1<<20), "nobody connected, before")
		report.add("rss_after_mib", float64(after.rss)/(1<<20), "nobody connected, after")
		report.add("rss_growth_percent", 100*float64(after.rss-before.rss)/float64(before.rss), "of the memory before")
		report.add("fds_growth", float64(after.fds-before.fds), "descriptors more than before")
	}
	if r.Ops != "" {
		report.add("goroutines_growth", float64(after.goroutines-before.goroutines), "goroutines more than before")
	}
}
