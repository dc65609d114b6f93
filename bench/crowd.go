package bench

import (
	"math/rand/v2"
	"time"

	"sluice/bench/swarm"
	"sluice/frame"
)

// crowd is the connections of a soak on one loop, and what they do at random.
type crowd struct {
	soak   *Soak
	rig    *Rig
	random *rand.Rand
	data   []byte // of a message

	clients []*soaker
	owed    [3]float64
	last    int64 // when the owed actions were last counted
	over    bool
	counts  crowdCounts
}

type crowdCounts struct {
	published, received, left, stalled, stalledClosed int
}

func (c *crowdCounts) add(o crowdCounts) {
	c.published += o.published
	c.received += o.received
	c.left += o.left
	c.stalled += o.stalled
	c.stalledClosed += o.stalledClosed
}

func newCrowd(s *Soak, r *Rig, l *swarm.Loop) *crowd {
	data := make([]byte, stampSize)
	stamp{}.put(data)
	return &crowd{
		soak: s, rig: r, data: data,
		random: rand.New(rand.NewPCG(s.Seed, uint64(l.Index()))),
	}
}

func (c *crowd) plan(i int) swarm.Plan {
	return swarm.Plan{
		Role:    &soaker{crowd: c, number: i},
		Request: c.rig.request(c.soak.claims(i)),
		Hold:    true,
	}
}

// crowdTick is how often the crowd acts.
const crowdTick = 10 * time.Millisecond

func (c *crowd) begin(l *swarm.Loop) {
	c.last = swarm.Now()
	c.act(l)
}

// act does what is due by now, each to a connection at random.
func (c *crowd) act(l *swarm.Loop) {
	if c.over {
		return
	}
	now := swarm.Now()
	passed := time.Duration(now-c.last).Seconds() / float64(c.rig.swarm.Loops())
	c.last = now
	for i, action := range [...]struct {
		rate float64
		do   func(*soaker)
	}{
		{c.soak.Churn, (*soaker).leave},
		{c.soak.Publish, (*soaker).publish},
		{c.soak.Stalls, (*soaker).stall},
	} {
		for c.owed[i] += action.rate * passed; c.owed[i] >= 1; c.owed[i]-- {
			if len(c.clients) > 0 {
				action.do(c.clients[c.random.IntN(len(c.clients))])
			}
		}
	}
	l.At(now+int64(crowdTick), c.act)
}

// soaker is one connection of a soak.
type soaker struct {
	crowd  *crowd
	number int // says its user and group
	place  int // in crowd.clients
	conn   *swarm.Conn
}

// Open implements swarm.Role.
func (s *soaker) Open(conn *swarm.Conn) {
	s.conn = conn
	s.place = len(s.crowd.clients)
	s.crowd.clients = append(s.crowd.clients, s)
}

// Message implements swarm.Role.
func (s *soaker) Message(conn *swarm.Conn, _ frame.Opcode, p []byte) {
	conn.Ready()
	if _, ok := findStamp(p, true); ok {
		s.crowd.counts.received++
	}
}

// Closed implements swarm.Role. Whoever went comes again, as long as the soak
// goes on.
func (s *soaker) Closed(conn *swarm.Conn, end swarm.End) {
	c := s.crowd
	if s.conn != nil {
		last := len(c.clients) - 1
		c.clients[s.place] = c.clients[last]
		c.clients[s.place].place = s.place
		c.clients = c.clients[:last]
	}
	if conn.Paused() && !end.Asked {
		c.counts.stalledClosed++
	}
	if c.last != 0 {
		conn.Loop().At(swarm.Now()+int64(absence), s.comeAgain)
	}
}

// absence is how long a client that went stays away. It also keeps a server
// that refuses everybody from being asked without a pause.
const absence = 100 * time.Millisecond

func (s *soaker) comeAgain(l *swarm.Loop) {
	if !s.crowd.over {
		l.Open(func() swarm.Plan { return s.crowd.plan(s.number) })
	}
}

// leave ends the connection in one of the ways in which clients do.
func (s *soaker) leave() {
	s.crowd.counts.left++
	switch s.crowd.random.IntN(3) {
	case 0:
		s.conn.Close(frame.CloseNormal)
	case 1:
		s.conn.Abort(false) // the page is gone
	default:
		s.conn.Abort(true) // the network is gone
	}
}

// publish sends one message to the group of the connection.
func (s *soaker) publish() {
	s.crowd.counts.published++
	s.conn.Send(swarm.AppendFrame(nil, frame.OpText, publication(s.number%s.crowd.soak.Groups, s.crowd.data)))
}

// stall stops reading for a while.
func (s *soaker) stall() {
	if s.conn.Paused() {
		return
	}
	s.crowd.counts.stalled++
	s.conn.Pause(true)
	pause := time.Duration(s.crowd.random.Int64N(int64(s.crowd.soak.StallTime)))
	s.conn.Loop().At(swarm.Now()+int64(pause), func(*swarm.Loop) { s.conn.Pause(false) })
}
