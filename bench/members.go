package bench

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"sync"
	"time"

	"sluice/auth"
	"sluice/bench/hdr"
	"sluice/bench/swarm"
	"sluice/frame"
	"sluice/hub/wire"
)

// Members has connections join and leave groups, each waiting for the answer
// before it asks again.
type Members struct {
	Connections, Groups, Depth int
	Warmup, Duration           time.Duration
}

// Flags declares the flags.
func (m *Members) Flags(fs *flag.FlagSet) {
	fs.IntVar(&m.Connections, "connections", 100, "connections that join and leave")
	fs.IntVar(&m.Groups, "groups", 1000, "groups; each connection goes round them")
	fs.IntVar(&m.Depth, "depth", 1, "requests under way on each connection")
	fs.DurationVar(&m.Warmup, "warmup", time.Second, "time before the measurement")
	fs.DurationVar(&m.Duration, "duration", 10*time.Second, "time to measure")
}

// Validate returns the first problem.
func (m *Members) Validate() error {
	return errors.Join(
		between("--connections", m.Connections, 1, maxConnections),
		between("--groups", m.Groups, 1, maxConnections),
		between("--depth", m.Depth, 1, 4096),
		lasting("--warmup", m.Warmup, 0),
		lasting("--duration", m.Duration, time.Millisecond),
	)
}

// membersLoop is what the connections of one loop share.
type membersLoop struct {
	recording bool
	clients   []*memberClient
	message   []byte // scratch
	frame     []byte // scratch
	answers   uint64
	refused   uint64
	latency   hdr.Histogram
}

// Run puts the load on.
func (m *Members) Run(ctx context.Context, r *Rig) error {
	if !r.speaksSluice() {
		return errors.New("--key or --token: groups are of a hub's clients")
	}
	if err := r.launch(m.Connections); err != nil {
		return err
	}
	r.swarm.Each(func(l *swarm.Loop) { l.Data = &membersLoop{} })
	r.phase("opening")
	err := r.open(ctx, m.Connections, func(l *swarm.Loop, i int) swarm.Plan {
		return swarm.Plan{
			Role:    &memberClient{loop: l.Data.(*membersLoop), groups: m.Groups, next: uint64(2 * i), requests: newInFlight(m.Depth)},
			Request: r.request(auth.Claims{User: userName(i), Roles: []string{memberRole}}),
			Hold:    true, // until `connected`
		}
	})
	if err != nil {
		return err
	}
	r.swarm.Each(func(l *swarm.Loop) {
		for _, c := range l.Data.(*membersLoop).clients {
			c.start()
		}
	})
	measured, err := r.measure(ctx, m.Warmup, m.Duration, func(l *swarm.Loop, on bool) { l.Data.(*membersLoop).recording = on })
	if err != nil {
		return err
	}
	m.report(r, measured)
	r.swarm.CloseAll()
	return nil
}

// memberRole allows joining and leaving any group.
const memberRole = "sluice.joinLeaveGroup"

func (m *Members) report(r *Rig, measured measurement) {
	var mu sync.Mutex
	var all membersLoop
	r.swarm.Each(func(l *swarm.Loop) {
		mu.Lock()
		defer mu.Unlock()
		one := l.Data.(*membersLoop)
		all.answers += one.answers
		all.refused += one.refused
		all.latency.Merge(&one.latency)
	})
	r.Report.add("requests_per_second", float64(all.answers)/measured.took.Seconds(), "joins and leaves that were acknowledged")
	r.addCPU(measured, all.answers, 1e6, "million")
	r.Report.addLatency(&all.latency, "from asking to the acknowledgement")
	r.Report.add("refused", float64(all.refused), "requests that were not granted")
}

// memberClient joins a group and leaves it, then goes on to the next.
type memberClient struct {
	loop   *membersLoop
	conn   *swarm.Conn
	ready  bool
	groups int
	next   uint64 // request: even ones join, odd ones leave; each two are for one group

	requests inFlight
}

// Open implements swarm.Role.
func (c *memberClient) Open(conn *swarm.Conn) {
	c.conn = conn
	c.loop.clients = append(c.loop.clients, c)
}

// Closed implements swarm.Role.
func (c *memberClient) Closed(*swarm.Conn, swarm.End) {}

func (c *memberClient) start() {
	c.requests.begin(swarm.Now())
	for range c.requests.sent {
		c.ask()
	}
}

func (c *memberClient) ask() {
	l := c.loop
	request := wire.Request{Kind: wire.JoinGroup, HasAck: true, AckID: c.next}
	if c.next%2 == 1 {
		request.Kind = wire.LeaveGroup
	}
	request.Group = []byte(groupName(int(c.next / 2 % uint64(c.groups))))
	c.next++
	l.message = wire.JSONv1{}.AppendRequest(l.message[:0], &request)
	l.frame = swarm.AppendFrame(l.frame[:0], frame.OpText, l.message)
	c.conn.Send(l.frame)
}

// granted is part of every acknowledgement of a success.
var granted = []byte(`"success":true`)

// Message implements swarm.Role: `connected` first, then one acknowledgement for
// each request.
func (c *memberClient) Message(conn *swarm.Conn, _ frame.Opcode, p []byte) {
	if !c.ready {
		c.ready = true
		conn.Ready()
		return
	}
	if !bytes.Contains(p, granted) {
		c.loop.refused++
	}
	took := c.requests.answered(swarm.Now())
	if c.loop.recording {
		c.loop.answers++
		c.loop.latency.Record(took)
	}
	c.ask()
}
