package bench

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"sluice/auth"
	"sluice/bench/swarm"
	"sluice/frame"
	"sluice/hub/wire"
)

// reliableClient is one session. It belongs to its loop, also while it is away.
type reliableClient struct {
	loop   *reliableLoop
	number int // says its user
	conn   *swarm.Conn
	place  int // in loop.open
	began  int64

	// of the session
	id, token string
	sequence  uint64 // the highest number that came
	acked     uint64
	fresh     bool // it began in the middle: the next message is its first

	// of the messages, by their stamps
	base, next, distinct uint64
	seen                 sequence
}

func (c *reliableClient) plan() swarm.Plan {
	run := c.loop.run
	p := swarm.Plan{Role: c, Hold: true}
	if c.id != "" {
		path := run.rig.path + "?connection_id=" + c.id + "&reconnection_token=" + url.QueryEscape(c.token)
		p.Request = swarm.Request(run.rig.host, path, wire.JSONReliableV1{}.Name(), "")
	} else {
		p.Request = run.rig.requestAs(wire.JSONReliableV1{}.Name(), auth.Claims{User: userName(c.number), Groups: []string{groupName(0)}})
	}
	c.began = swarm.Now()
	return p
}

// Open implements swarm.Role.
func (c *reliableClient) Open(conn *swarm.Conn) { c.conn = conn }

// Message implements swarm.Role.
func (c *reliableClient) Message(conn *swarm.Conn, _ frame.Opcode, p []byte) {
	switch {
	case bytes.HasPrefix(p, []byte(`{"type":"message"`)):
		c.take(p)
	case bytes.Contains(p, []byte(`"event":"connected"`)):
		c.connected(conn, p)
	}
}

func (c *reliableClient) connected(conn *swarm.Conn, p []byte) {
	var hello struct{ ConnectionID, ReconnectionToken string }
	if json.Unmarshal(p, &hello) != nil {
		return
	}
	if c.id == hello.ConnectionID {
		c.loop.counts.recovered++
		c.loop.recovery.Record(time.Duration(swarm.Now() - c.began))
	}
	c.id, c.token = hello.ConnectionID, hello.ReconnectionToken
	c.place = len(c.loop.open)
	c.loop.open = append(c.loop.open, c)
	conn.Ready()
}

// take notes one message. One with a number that is known came again because its
// acknowledgement was lost.
func (c *reliableClient) take(p []byte) {
	counts := &c.loop.counts
	number, ok := sequenceOf(p)
	st, stamped := findStamp(p, true)
	if !ok || !stamped {
		return
	}
	if number <= c.sequence {
		counts.repeated++
		return
	}
	c.sequence = number
	if c.fresh {
		c.fresh = false
		c.base, c.next, c.distinct = st.number, st.number, 0
		c.seen = sequence{next: st.number}
	}
	switch c.seen.take(st.number) {
	case again:
		counts.duplicated++
		return
	case late:
		counts.reordered++
	}
	counts.received++
	c.distinct++
	c.next = max(c.next, st.number+1)
	c.loop.latency.Record(time.Duration(swarm.Now() - st.sent))
}

// sequenceOf returns the number of a message, which stands at its end.
func sequenceOf(p []byte) (uint64, bool) {
	i := bytes.LastIndexByte(p, ':')
	if i < 0 || !bytes.HasSuffix(p[:i], []byte(`"sequenceId"`)) {
		return 0, false
	}
	n, err := strconv.ParseUint(string(bytes.TrimSuffix(p[i+1:], []byte("}"))), 10, 64)
	return n, err == nil
}

func (c *reliableClient) acknowledge() {
	if c.sequence > c.acked && c.conn.Live() {
		c.acked = c.sequence
		ack := wire.JSONv1{}.AppendRequest(nil, &wire.Request{Kind: wire.SequenceAck, SequenceID: c.sequence})
		c.conn.Send(swarm.AppendFrame(nil, frame.OpText, ack))
	}
}

// Closed implements swarm.Role: the client comes back, with its session unless it
// was told to start afresh.
func (c *reliableClient) Closed(conn *swarm.Conn, end swarm.End) {
	l := c.loop
	if i := c.place; i < len(l.open) && l.open[i] == c {
		last := len(l.open) - 1
		l.open[i] = l.open[last]
		l.open[i].place = i
		l.open = l.open[:last]
	}
	if l.last == 0 || l.run.closed.Load() {
		return
	}
	if end.Code == frame.ClosePolicyViolation {
		l.counts.afresh++
		c.id, c.token, c.sequence, c.acked, c.fresh = "", "", 0, 0, true
	}
	away := time.Duration(l.random.Int64N(int64(l.run.Away)))
	conn.Loop().At(swarm.Now()+int64(away), func(on *swarm.Loop) { on.Open(c.plan) })
}

// pacer publishes numbered messages at a rate.
type pacer struct {
	run       *reliableRun
	conn      *swarm.Conn
	payload   []byte
	stamp     []byte // the place of the stamp in it
	due       int64
	scratch   []byte
	published atomic.Uint64
}

func newPacer(run *reliableRun) *pacer {
	data := bytes.Repeat([]byte{'.'}, run.Size)
	stamp{}.put(data)
	p := &pacer{run: run, payload: publication(0, data)}
	at := bytes.Index(p.payload, data)
	p.stamp = p.payload[at : at+stampSize]
	return p
}

// Open implements swarm.Role.
func (p *pacer) Open(c *swarm.Conn) { p.conn = c }

// Message implements swarm.Role: the only one is `connected`.
func (p *pacer) Message(c *swarm.Conn, _ frame.Opcode, _ []byte) { c.Ready() }

// Closed implements swarm.Role.
func (p *pacer) Closed(*swarm.Conn, swarm.End) {}

func (p *pacer) begin() {
	p.conn.Loop().Post(func(l *swarm.Loop) {
		p.due = swarm.Now()
		p.publish(l)
	})
}

// stop returns when nothing more is published.
func (p *pacer) stop() {
	done := make(chan struct{})
	p.conn.Loop().Post(func(*swarm.Loop) { close(done) })
	<-done
}

// publish sends what is due; see publisher.keepRate.
func (p *pacer) publish(l *swarm.Loop) {
	if p.run.over.Load() || !p.conn.Live() {
		return
	}
	for now := swarm.Now(); p.due <= now; p.due += int64(float64(time.Second) / p.run.Publish) {
		stamp{number: p.published.Load(), sent: p.due}.put(p.stamp)
		p.scratch = swarm.AppendFrame(p.scratch[:0], frame.OpText, p.payload)
		p.conn.Send(p.scratch)
		p.published.Add(1)
	}
	l.At(p.due, p.publish)
}
