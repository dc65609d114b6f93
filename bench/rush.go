package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"sluice/auth"
	"sluice/bench/hdr"
	"sluice/bench/swarm"
	"sluice/frame"
)

// Rush has very many clients come at once, as they do when a node beside this one
// was started again, while others are served: how long until the last is in, and
// what those who were there notice.
type Rush struct {
	Returning, Subscribers int
	Rate                   float64
	Quiet, Most, Backoff   time.Duration
}

// Flags declares the flags.
func (s *Rush) Flags(fs *flag.FlagSet) {
	fs.IntVar(&s.Returning, "returning", 10_000, "clients that come at once")
	fs.IntVar(&s.Subscribers, "subscribers", 1000, "connections that are there before, and receive all the time")
	fs.Float64Var(&s.Rate, "rate", 10, "messages per second, each for all of these")
	fs.DurationVar(&s.Quiet, "quiet", 5*time.Second, "time to measure before they come")
	fs.DurationVar(&s.Most, "most", 2*time.Minute, "the most time to wait until all are in")
	fs.DurationVar(&s.Backoff, "backoff", time.Second, "what a client that was refused waits, with jitter; twice as long after each time, up to 10 times")
}

// Validate returns the first problem.
func (s *Rush) Validate() error {
	var err error
	if s.Rate <= 0 || s.Rate > 1e6 {
		err = fmt.Errorf("--rate %v: must be more than 0, up to 1000000", s.Rate)
	}
	return errors.Join(err,
		between("--returning", s.Returning, 1, maxConnections),
		between("--subscribers", s.Subscribers, 1, maxConnections),
		lasting("--quiet", s.Quiet, time.Millisecond),
		lasting("--most", s.Most, time.Millisecond),
		lasting("--backoff", s.Backoff, time.Millisecond),
	)
}

// rushRun is the rush of one run. But for what is atomic it belongs to the one loop of
// its swarm, which is not that of those who are there before: they would wait for it.
type rushRun struct {
	*Rush
	swarm    *swarm.Swarm
	requests [][]byte // made before: the client has no time to sign tokens

	began   int64         // when they came
	arrival hdr.Histogram // from the beginning to being in, however many tries it took
	last    int64         // the latest of them, in nanoseconds from the beginning
	tries   int
	over    bool

	in atomic.Int64
}

// Run puts the load on.
func (s *Rush) Run(ctx context.Context, r *Rig) error {
	if !r.speaksSluice() {
		return errors.New("--key is missing: a rush is one of clients that are let in")
	}
	established := &fanoutRun{rig: r, Fanout: &Fanout{
		Subscribers: s.Subscribers, Groups: 1, Each: 1, Publishers: 1, UnderWay: 1, Rate: s.Rate, Size: 128,
	}}
	if err := r.launch(s.Subscribers + 1); err != nil {
		return err
	}
	run, err := s.prepare(r)
	if err != nil {
		return err
	}
	defer run.swarm.Stop()
	r.swarm.Each(func(l *swarm.Loop) { l.Data = &fanoutLoop{} })
	if err := established.openAll(ctx); err != nil {
		return err
	}
	established.start()
	record := func(l *swarm.Loop, on bool) { l.Data.(*fanoutLoop).recording = on }
	if _, err := r.measure(ctx, time.Second, s.Quiet, record); err != nil {
		return err
	}
	s.reportLatency(r, "quiet", established)

	r.phase("all at once")
	r.swarm.Each(func(l *swarm.Loop) { record(l, true) })
	before := r.usage()
	run.begin()
	err = run.wait(ctx)
	m := measurement{took: time.Duration(swarm.Now() - run.began)}
	after := r.usage()
	m.cpu.User, m.cpu.System = after.User-before.User, after.System-before.System
	r.swarm.Each(func(l *swarm.Loop) { record(l, false) })
	run.swarm.Each(func(*swarm.Loop) { run.over = true })
	established.stopped.Store(true)
	if err != nil {
		return err
	}
	s.reportLatency(r, "rush", established)
	run.report(r, m)
	all, err := established.drain(ctx)
	if err != nil {
		return err
	}
	r.Report.add("lost", float64(established.expected())-float64(all.delivered), "copies that did not arrive at those who were there before")
	run.swarm.CloseAll()
	r.swarm.CloseAll()
	return nil
}

// prepare makes everything that the returning clients need.
func (s *Rush) prepare(r *Rig) (*rushRun, error) {
	run := &rushRun{Rush: s, requests: make([][]byte, s.Returning)}
	for i := range run.requests {
		run.requests[i] = r.request(auth.Claims{User: userName(s.Subscribers + i)})
	}
	var err error
	run.swarm, err = r.newSwarm(1, 4*s.Returning) // ports wait a while before they can be used again
	return run, err
}

// reportLatency reports what those who are there have noticed, and begins anew.
func (s *Rush) reportLatency(r *Rig, phase string, established *fanoutRun) {
	h := &established.sum().latency
	for _, q := range []struct {
		name string
		of   float64
	}{{"p50", 0.5}, {"p99", 0.99}, {"max", 1}} {
		r.Report.add(phase+"_latency_"+q.name+"_ms", float64(h.Quantile(q.of))/float64(time.Millisecond),
			"from publishing to the arrival of each copy, "+phase)
	}
	r.swarm.Each(func(l *swarm.Loop) { l.Data.(*fanoutLoop).latency = hdr.Histogram{} })
}

// begin has all of them connect.
func (run *rushRun) begin() {
	run.swarm.Each(func(l *swarm.Loop) {
		run.began = swarm.Now()
		for i := range run.Returning {
			run.come(l, &returning{run: run, number: i})
		}
	})
}

// wait returns when all are in, or the time is over.
func (run *rushRun) wait(ctx context.Context) error {
	for end := time.Now().Add(run.Most); run.in.Load() < int64(run.Returning) && time.Now().Before(end); {
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// report is called when nobody comes any more.
func (run *rushRun) report(rig *Rig, m measurement) {
	r := rig.Report
	r.add("returned", float64(run.in.Load()), fmt.Sprintf("clients that are in, of %d that came at once", run.Returning))
	r.add("tries", float64(run.tries), "connections that they tried for it")
	if run.arrival.Count() > 0 {
		r.add("returned_p50_s", run.arrival.Quantile(0.5).Seconds(), "from the beginning until a client is in, median")
		r.add("returned_p99_s", run.arrival.Quantile(0.99).Seconds(), "from the beginning until a client is in, 99 of 100 are faster")
		r.add("returned_last_s", time.Duration(run.last).Seconds(), "from the beginning until the last is in")
	}
	lost := sum(run.swarm.Counts().Lost)
	r.add("returned_lost", float64(lost), "of those who were in, that ended without having been asked to")
	rig.addCPU(m, uint64(run.in.Load()), 1e3, "thousand")
}

// come connects a client at once, whatever --opening says.
func (run *rushRun) come(l *swarm.Loop, c *returning) {
	run.tries++
	l.Connect(swarm.Plan{Role: c, Request: run.requests[c.number], Hold: true}) // until `connected`
}

// returning is a client that comes in the rush, and comes again when it is refused.
type returning struct {
	run    *rushRun
	number int
	in     bool
	failed int
}

// Open implements swarm.Role.
func (c *returning) Open(*swarm.Conn) {}

// Message implements swarm.Role: the first one is `connected`.
func (c *returning) Message(conn *swarm.Conn, _ frame.Opcode, _ []byte) {
	if c.in {
		return
	}
	c.in = true
	conn.Ready()
	c.run.last = swarm.Now() - c.run.began
	c.run.arrival.Record(time.Duration(c.run.last))
	c.run.in.Add(1)
}

// Closed implements swarm.Role.
func (c *returning) Closed(conn *swarm.Conn, _ swarm.End) {
	if c.in || c.run.over {
		return
	}
	wait := min(c.run.Backoff<<min(c.failed, 10), 10*c.run.Backoff)
	wait = wait/2 + rand.N(wait/2+1)
	c.failed++
	conn.Loop().At(swarm.Now()+int64(wait), func(l *swarm.Loop) {
		if !c.run.over {
			c.run.come(l, c)
		}
	})
}
