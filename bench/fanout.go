package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"sluice/auth"
	"sluice/bench/hdr"
	"sluice/bench/swarm"
	"sluice/hub/wire"
)

// Fanout publishes to groups and watches every copy arrive.
//
// Against Sluice the subscribers are in their group by their token. A bare
// server (no --key and no --token) speaks a simpler protocol: a subscriber's
// first message is "sub:" and eight hexadecimal digits that name its group, and
// the server answers with the same; every other message goes unchanged to the
// subscribers of the group that its first eight digits name.
type Fanout struct {
	Subscribers, Groups, Each, Publishers int
	Stalled                               int
	UnderWay                              int
	Rate                                  float64
	Size                                  int
	Warmup, Duration                      time.Duration
}

// Flags declares the flags.
func (f *Fanout) Flags(fs *flag.FlagSet) {
	fs.IntVar(&f.Subscribers, "subscribers", 1000, "connections that receive")
	fs.IntVar(&f.Groups, "groups", 1, "groups, of the same size")
	fs.IntVar(&f.Each, "each", 1, "groups that each subscriber is in")
	fs.IntVar(&f.Stalled, "stalled", 0, "subscribers more that read nothing, one after the other in the groups; nothing is expected of them")
	fs.IntVar(&f.Publishers, "publishers", 1, "connections that publish; each goes round the groups that are its own")
	fs.IntVar(&f.UnderWay, "under-way", 1, "messages of each publisher that have not reached everybody yet, without --rate")
	fs.Float64Var(&f.Rate, "rate", 0, "messages to publish per second in all, whatever the server does (default: the most that --under-way allows)")
	fs.IntVar(&f.Size, "size", 128, "`bytes` of a message as it arrives")
	fs.DurationVar(&f.Warmup, "warmup", time.Second, "time before the measurement")
	fs.DurationVar(&f.Duration, "duration", 10*time.Second, "time to measure")
}

// Validate returns the first problem.
func (f *Fanout) Validate() error {
	var err error
	if f.Rate < 0 || f.Rate > 1e6 {
		err = fmt.Errorf("--rate %v: must be 0 to 1000000", f.Rate)
	}
	return errors.Join(err,
		between("--subscribers", f.Subscribers, 1, maxConnections),
		between("--each", f.Each, 1, maxGroupsEach),
		between("--groups", f.Groups, f.Each, f.Subscribers*max(1, f.Each)),
		between("--publishers", f.Publishers, 1, 1<<16-1),
		between("--stalled", f.Stalled, 0, maxConnections),
		between("--under-way", f.UnderWay, 1, 4096),
		between("--size", f.Size, 1, 1<<20),
		lasting("--warmup", f.Warmup, 0),
		lasting("--duration", f.Duration, time.Millisecond),
	)
}

// maxGroupsEach bounds the groups of one connection: they all stand in its token.
const maxGroupsEach = 100

// groupsOf returns the groups of a connection: the numbers of all memberships go
// round the groups, so that none has more than one member more than another.
func groupsOf(i, each, groups int) []string {
	names := make([]string, each)
	for j := range names {
		names[j] = groupName((i*each + j) % groups)
	}
	return names
}

// fanoutRun is one run. Its publishers and loops are made before the first
// message and then only looked up.
type fanoutRun struct {
	*Fanout
	rig        *Rig
	publishers []*publisher
	stopped    atomic.Bool // publish no more
}

// fanoutLoop is what the subscribers of one loop share.
type fanoutLoop struct {
	recording bool
	measured  uint64 // deliveries while recording
	latency   hdr.Histogram

	// From the first message to the last:
	delivered  uint64 // each copy once
	duplicated uint64
	reordered  uint64
	strange    uint64 // not a copy of what was published to this group
}

// Run puts the load on.
func (f *Fanout) Run(ctx context.Context, r *Rig) error {
	run := &fanoutRun{Fanout: f, rig: r}
	if f.Each > 1 && !r.speaksSluice() {
		return errors.New("--each: a subscriber of a bare server is in one group")
	}
	if least := run.leastSize(); f.Size < least {
		return fmt.Errorf("--size %d: a message with its stamp takes %d", f.Size, least)
	}
	if f.Stalled > 0 && !r.speaksSluice() {
		return errors.New("--stalled: a bare server writes to everybody for ever")
	}
	if err := r.launch(f.Subscribers + f.Stalled + f.Publishers); err != nil {
		return err
	}
	r.swarm.Each(func(l *swarm.Loop) { l.Data = &fanoutLoop{} })
	if err := run.openAll(ctx); err != nil {
		return err
	}
	run.start()
	m, err := r.measure(ctx, f.Warmup, f.Duration, func(l *swarm.Loop, on bool) { l.Data.(*fanoutLoop).recording = on })
	run.stopped.Store(true)
	if err != nil {
		return err
	}
	all, err := run.drain(ctx)
	if err != nil {
		return err
	}
	run.report(m, all)
	r.swarm.CloseAll()
	return nil
}

// members returns how many subscribers a group has.
func (run *fanoutRun) members(group int) int {
	n := run.Subscribers * run.Each / run.Groups
	if group < run.Subscribers*run.Each%run.Groups {
		n++
	}
	return n
}

// envelope returns the bytes of a message as it arrives, without its data.
func (run *fanoutRun) envelope(group int) int {
	if !run.rig.speaksSluice() {
		return 0
	}
	return len(wire.JSONv1{}.AppendMessage(nil, &wire.Message{Group: groupName(group), DataType: wire.Text}))
}

// leastSize is that of a message without filler to the longest name.
func (run *fanoutRun) leastSize() int { return run.envelope(run.Groups-1) + stampSize }

func (run *fanoutRun) openAll(ctx context.Context) error {
	r := run.rig
	r.phase("opening")
	err := r.open(ctx, run.Subscribers, func(l *swarm.Loop, i int) swarm.Plan {
		return swarm.Plan{
			Role:    newSubscriber(run, l.Data.(*fanoutLoop), i),
			Request: r.request(auth.Claims{User: userName(i), Groups: groupsOf(i, run.Each, run.Groups)}),
			Hold:    true, // until it is in its group
		}
	})
	if err != nil {
		return err
	}
	err = r.open(ctx, run.Stalled, func(_ *swarm.Loop, i int) swarm.Plan {
		return swarm.Plan{
			Role:          staller{},
			ReceiveBuffer: 4 << 10,
			Request:       r.request(auth.Claims{User: userName(run.Subscribers + i), Groups: groupsOf(i, 1, run.Groups)}),
			Hold:          true,
		}
	})
	if err != nil {
		return err
	}
	for p := range run.Publishers {
		run.publishers = append(run.publishers, newPublisher(run, p))
	}
	return r.open(ctx, run.Publishers, func(_ *swarm.Loop, i int) swarm.Plan {
		return swarm.Plan{
			Role:    run.publishers[i],
			Request: r.request(auth.Claims{Roles: []string{publisherRole}}),
			Hold:    r.speaksSluice(), // until `connected`
		}
	})
}

func (run *fanoutRun) start() {
	begin := swarm.Now()
	run.rig.swarm.Each(func(l *swarm.Loop) {
		for _, p := range run.publishers {
			if p.conn.Loop() == l {
				p.start(begin)
			}
		}
	})
}

// drain waits for the copies under way and returns what came.
func (run *fanoutRun) drain(ctx context.Context) (all *fanoutLoop, err error) {
	run.rig.phase("waiting for the last copies")
	last := uint64(0)
	quiet := time.Now()
	for {
		all = run.sum()
		if all.delivered >= run.expected() {
			return all, nil
		}
		if all.delivered > last {
			last, quiet = all.delivered, time.Now()
		}
		if time.Since(quiet) > lastCopies {
			return all, nil
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// lastCopies is how long nothing must have come before the rest counts as lost.
const lastCopies = 3 * time.Second

func (run *fanoutRun) sum() *fanoutLoop {
	var mu sync.Mutex
	all := &fanoutLoop{}
	run.rig.swarm.Each(func(l *swarm.Loop) {
		mu.Lock()
		defer mu.Unlock()
		one := l.Data.(*fanoutLoop)
		all.measured += one.measured
		all.delivered += one.delivered
		all.duplicated += one.duplicated
		all.reordered += one.reordered
		all.strange += one.strange
		all.latency.Merge(&one.latency)
	})
	return all
}

// expected is the number of copies of everything that was published.
func (run *fanoutRun) expected() (n uint64) {
	for _, p := range run.publishers {
		n += p.copies.Load()
	}
	return n
}

func (run *fanoutRun) report(m measurement, all *fanoutLoop) {
	report := run.rig.Report
	report.add("deliveries_per_second", float64(all.measured)/m.took.Seconds(), "copies that arrived")
	run.rig.addCPU(m, all.measured, 1e6, "million")
	report.addLatency(&all.latency, "from publishing to the arrival of each copy")
	report.add("lost", float64(run.expected())-float64(all.delivered), "copies that did not arrive")
	report.add("duplicated", float64(all.duplicated), "copies that arrived again")
	report.add("reordered", float64(all.reordered), "copies that arrived after a later message of their publisher")
	report.add("strange", float64(all.strange), "messages that are no copies of ours")
	if run.Rate > 0 {
		report.Notes = append(report.Notes, "Latency counts from when a message was due, not from when it was sent: a server that holds up the publisher gains nothing by it.")
	}
}
