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
	"sluice/frame"
	"sluice/hub/wire"
)

// Idle opens connections and holds them. What one costs is the slope between a
// first part and all of them, so that what the server needs anyway is left out.
type Idle struct {
	Connections, First, Groups, Each, Rounds int
	Hold, Settle                             time.Duration
	Broadcast, Reliable                      bool
}

// Flags declares the flags.
func (s *Idle) Flags(fs *flag.FlagSet) {
	fs.IntVar(&s.Connections, "connections", 1000, "connections to open")
	fs.IntVar(&s.First, "first", 0, "connections after which memory is read first (default: a fifth, 2000 at most)")
	fs.IntVar(&s.Groups, "groups", 1, "groups, of the same size")
	fs.IntVar(&s.Each, "each", 1, "groups that each connection is in")
	fs.DurationVar(&s.Hold, "hold", 10*time.Second, "time to hold the connections; the most time for --rounds")
	fs.IntVar(&s.Rounds, "rounds", 0, "hold until every connection has answered so many pings")
	fs.DurationVar(&s.Settle, "settle", 30*time.Second, "the most time to wait for the server's memory to settle")
	fs.BoolVar(&s.Reliable, "reliable", false, "sessions that survive their connection")
	fs.BoolVar(&s.Broadcast, "broadcast", false, "at the end publish once to every group and count who gets it; needs --key")
}

// Validate returns the first problem.
func (s *Idle) Validate() error {
	if s.First == 0 {
		s.First = min(2000, s.Connections/5)
	}
	return errors.Join(
		between("--connections", s.Connections, 1, maxConnections),
		between("--first", s.First, 0, s.Connections-1),
		between("--each", s.Each, 1, maxGroupsEach),
		between("--groups", s.Groups, s.Each, maxConnections),
		between("--rounds", s.Rounds, 0, 1000),
		lasting("--hold", s.Hold, 0),
		lasting("--settle", s.Settle, 0),
	)
}

func (s *Idle) subprotocol() string {
	if s.Reliable {
		return wire.JSONReliableV1{}.Name()
	}
	return wire.JSONv1{}.Name()
}

// idleLoop is what the connections of one loop share.
type idleLoop struct {
	clients   map[*swarm.Conn]bool
	delivered int
}

// Run puts the load on.
func (s *Idle) Run(ctx context.Context, r *Rig) error {
	if s.Broadcast && (r.Key == "" || r.scheme == "tcp") {
		return errors.New("--broadcast needs --key")
	}
	if err := r.launch(s.Connections); err != nil {
		return err
	}
	r.swarm.Each(func(l *swarm.Loop) { l.Data = &idleLoop{clients: map[*swarm.Conn]bool{}} })
	empty, err := r.look(ctx)
	if err != nil {
		return err
	}
	before, err := s.open(ctx, r, 0, s.First)
	if err != nil {
		return err
	}
	after, err := s.open(ctx, r, s.First, s.Connections)
	if err != nil {
		return err
	}
	rounds, err := s.hold(ctx, r)
	if err != nil {
		return err
	}
	full, err := r.look(ctx)
	if err != nil {
		return err
	}
	open, _ := r.swarm.Progress()
	r.Report.add("survivors", float64(open), "connections that are open at the end")
	r.Report.add("heartbeat_rounds", float64(rounds), "pings that every one of them has answered")
	if r.hasServer() {
		r.Report.add("rss_bytes_per_connection", float64(after.RSS-before.RSS)/float64(s.Connections-s.First),
			fmt.Sprintf("slope from %d to %d connections", s.First, s.Connections))
		r.Report.add("rss_mib", float64(after.RSS)/(1<<20), "with all connections")
	}
	r.Report.addLatency(&r.swarm.Counts().Opening, "to open a connection")
	if s.Broadcast {
		if err := s.broadcast(ctx, r, open*s.Each); err != nil {
			return err
		}
	}
	if r.Ops != "" {
		r.Report.add("goroutines_growth", float64(full.goroutines-empty.goroutines), "goroutines more with all connections than with none")
	}
	return s.close(ctx, r, empty, full)
}

func (s *Idle) open(ctx context.Context, r *Rig, from, to int) (Usage, error) {
	r.phase("opening")
	err := r.open(ctx, to-from, func(l *swarm.Loop, i int) swarm.Plan {
		i += from
		claims := auth.Claims{User: userName(i), Groups: groupsOf(i, s.Each, s.Groups)}
		return swarm.Plan{
			Role:    &idleClient{l.Data.(*idleLoop), r.speaksSluice()},
			Request: r.requestAs(s.subprotocol(), claims),
			Stream:  r.scheme == "tcp",
			Hold:    r.speaksSluice(), // until `connected` says that we are in
		}
	})
	if err != nil {
		return Usage{}, err
	}
	r.phase("settling")
	return r.settle(ctx, s.Settle)
}

// hold waits, and returns how many pings every connection has answered.
func (s *Idle) hold(ctx context.Context, r *Rig) (rounds int, err error) {
	r.phase("holding")
	for end := time.Now().Add(s.Hold); err == nil; err = sleep(ctx, min(time.Second, max(0, time.Until(end)))) {
		rounds = s.rounds(r)
		if !time.Now().Before(end) || s.Rounds > 0 && rounds >= s.Rounds {
			return rounds, nil
		}
	}
	return rounds, err
}

func (s *Idle) rounds(r *Rig) int {
	var mu sync.Mutex
	least := -1
	r.swarm.Each(func(l *swarm.Loop) {
		mu.Lock()
		defer mu.Unlock()
		for c := range l.Data.(*idleLoop).clients {
			if least < 0 || c.Pings() < least {
				least = c.Pings()
			}
		}
	})
	return max(0, least)
}

// broadcast publishes one message to each group and counts the copies.
func (s *Idle) broadcast(ctx context.Context, r *Rig, copies int) error {
	r.phase("publishing")
	p := &idlePublisher{groups: s.Groups}
	err := r.open(ctx, 1, func(*swarm.Loop, int) swarm.Plan {
		return swarm.Plan{Role: p, Request: r.request(auth.Claims{Roles: []string{publisherRole}}), Hold: true}
	})
	if err != nil {
		return err
	}
	delivered := 0
	for end := time.Now().Add(max(drain, r.Patience)); ; {
		if delivered = s.delivered(r); delivered >= copies || time.Now().After(end) {
			break
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	r.Report.add("broadcast_delivered", float64(delivered), fmt.Sprintf("copies of one message to each group, of %d", copies))
	r.Report.add("broadcast_missing", float64(copies-delivered), "copies that did not come")
	return nil
}

// drain is how long copies may be late before they count as lost, or --patience
// where that is more.
const drain = 15 * time.Second

func (s *Idle) delivered(r *Rig) (n int) {
	var mu sync.Mutex
	r.swarm.Each(func(l *swarm.Loop) {
		mu.Lock()
		defer mu.Unlock()
		n += l.Data.(*idleLoop).delivered
	})
	return n
}

// close closes every connection and reports what the server keeps of them.
func (s *Idle) close(ctx context.Context, r *Rig, empty, full remains) error {
	r.phase("closing")
	r.swarm.CloseAll()
	if !r.hasServer() {
		return nil
	}
	// The last tenth may stay: a server keeps some buffers for the next client.
	goal := empty
	goal.rss += (full.rss - empty.rss) / 10
	left, err := r.back(ctx, goal, s.Settle)
	if err != nil {
		return err
	}
	r.Report.add("rss_after_mib", float64(left.rss)/(1<<20), "when all connections are closed")
	r.Report.add("rss_left_bytes_per_connection", float64(left.rss-empty.rss)/float64(s.Connections), "of that more than before the first, for each that there was")
	r.Report.add("fds_left", float64(left.fds-empty.fds), "descriptors more than before the first connection")
	if r.Ops != "" {
		r.Report.add("goroutines_left", float64(left.goroutines-empty.goroutines), "goroutines more than before the first connection")
	}
	return nil
}

// idleClient says nothing.
type idleClient struct {
	loop   *idleLoop
	sluice bool
}

// Open implements swarm.Role.
func (c *idleClient) Open(conn *swarm.Conn) { c.loop.clients[conn] = true }

// Message implements swarm.Role.
func (c *idleClient) Message(conn *swarm.Conn, _ frame.Opcode, p []byte) {
	conn.Ready()
	if _, ok := findStamp(p, c.sluice); ok {
		c.loop.delivered++
	}
}

// Closed implements swarm.Role.
func (c *idleClient) Closed(conn *swarm.Conn, _ swarm.End) { delete(c.loop.clients, conn) }

// publisherRole allows publishing to any group.
const publisherRole = "sluice.sendToGroup"

// idlePublisher publishes once to each group when the node has let it in.
type idlePublisher struct{ groups int }

// Open implements swarm.Role.
func (p *idlePublisher) Open(*swarm.Conn) {}

// Message implements swarm.Role: the first one is `connected`.
func (p *idlePublisher) Message(c *swarm.Conn, _ frame.Opcode, _ []byte) {
	c.Ready()
	var data [stampSize]byte
	stamp{sent: swarm.Now()}.put(data[:])
	for g := range p.groups {
		c.Send(swarm.AppendFrame(nil, frame.OpText, publication(g, data[:])))
	}
}

// Closed implements swarm.Role.
func (p *idlePublisher) Closed(*swarm.Conn, swarm.End) {}

// publication is the message with which a client of Sluice publishes.
func publication(group int, data []byte) []byte {
	return wire.JSONv1{}.AppendRequest(nil, &wire.Request{
		Kind: wire.SendToGroup, Group: []byte(groupName(group)), DataType: wire.Text, Data: data,
	})
}
