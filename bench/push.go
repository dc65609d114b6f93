package bench

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"sync"
	"time"

	"sluice/auth"
	"sluice/bench/hdr"
	"sluice/bench/swarm"
	"sluice/frame"
)

// Push publishes to a group of one member by the HTTP API, as back ends do, each
// connection waiting for the answer before it asks again. Without --key it sends
// the same requests to any HTTP server: the floor is one that only answers.
type Push struct {
	Connections, Depth, Size int
	Warmup, Duration         time.Duration
}

// Flags declares the flags.
func (p *Push) Flags(fs *flag.FlagSet) {
	fs.IntVar(&p.Connections, "connections", 10, "connections of the back end, kept alive")
	fs.IntVar(&p.Depth, "depth", 1, "requests under way on each connection")
	fs.IntVar(&p.Size, "size", 128, "`bytes` of a message")
	fs.DurationVar(&p.Warmup, "warmup", time.Second, "time before the measurement")
	fs.DurationVar(&p.Duration, "duration", 10*time.Second, "time to measure")
}

// Validate returns the first problem.
func (p *Push) Validate() error {
	return errors.Join(
		between("--connections", p.Connections, 1, maxConnections),
		between("--depth", p.Depth, 1, 4096),
		between("--size", p.Size, 1, 1<<20),
		lasting("--warmup", p.Warmup, 0),
		lasting("--duration", p.Duration, time.Millisecond),
	)
}

// pushLoop is what the connections of one loop share.
type pushLoop struct {
	recording bool
	clients   []*pushClient
	answers   uint64
	refused   uint64
	received  uint64 // by the member
	latency   hdr.Histogram
}

// Run puts the load on.
func (p *Push) Run(ctx context.Context, r *Rig) error {
	request, err := p.request(r)
	if err != nil {
		return err
	}
	if err := r.launch(p.Connections + 1); err != nil {
		return err
	}
	r.swarm.Each(func(l *swarm.Loop) { l.Data = &pushLoop{} })
	r.phase("opening")
	if r.speaksSluice() {
		err = r.open(ctx, 1, func(l *swarm.Loop, _ int) swarm.Plan {
			return swarm.Plan{Role: &pushMember{loop: l.Data.(*pushLoop)}, Request: r.request(auth.Claims{Groups: []string{groupName(0)}}), Hold: true}
		})
	}
	if err == nil {
		err = r.open(ctx, p.Connections, func(l *swarm.Loop, _ int) swarm.Plan {
			return swarm.Plan{Role: &pushClient{loop: l.Data.(*pushLoop), request: request, requests: newInFlight(p.Depth)}, Stream: true}
		})
	}
	if err != nil {
		return err
	}
	r.swarm.Each(func(l *swarm.Loop) {
		for _, c := range l.Data.(*pushLoop).clients {
			c.start()
		}
	})
	m, err := r.measure(ctx, p.Warmup, p.Duration, func(l *swarm.Loop, on bool) { l.Data.(*pushLoop).recording = on })
	if err != nil {
		return err
	}
	p.report(r, m)
	return nil
}

// request returns the one request that all send.
func (p *Push) request(r *Rig) ([]byte, error) {
	authorization := ""
	if r.Key != "" {
		token, err := auth.MintCall([]byte(r.Key), "/api/hubs/"+r.Hub, tokenLife, time.Now())
		if err != nil {
			return nil, err
		}
		authorization = "Authorization: Bearer " + token + "\r\n"
	}
	head := fmt.Sprintf("POST /api/hubs/%s/groups/%s/:send HTTP/1.1\r\nHost: %s\r\n%sContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n",
		r.Hub, groupName(0), r.host, authorization, p.Size)
	return append([]byte(head), bytes.Repeat([]byte{'p'}, p.Size)...), nil
}

func (p *Push) report(r *Rig, m measurement) {
	var mu sync.Mutex
	var all pushLoop
	r.swarm.Each(func(l *swarm.Loop) {
		mu.Lock()
		defer mu.Unlock()
		one := l.Data.(*pushLoop)
		all.answers += one.answers
		all.refused += one.refused
		all.received += one.received
		all.latency.Merge(&one.latency)
	})
	r.Report.add("requests_per_second", float64(all.answers)/m.took.Seconds(), "sends that were answered")
	r.addCPU(m, all.answers, 1e6, "million")
	r.Report.addLatency(&all.latency, "from asking to the answer")
	r.Report.add("refused", float64(all.refused), "sends that were not answered with success")
	if r.speaksSluice() {
		r.Report.add("received", float64(all.received), "messages that reached the member, from the first on")
	}
}

// pushClient is a back end that sends one request after the other.
type pushClient struct {
	loop     *pushLoop
	conn     *swarm.Conn
	request  []byte
	requests inFlight
	partial  []byte // of an answer that has not come whole
}

// Open implements swarm.Role.
func (c *pushClient) Open(conn *swarm.Conn) {
	c.conn = conn
	c.loop.clients = append(c.loop.clients, c)
}

// Closed implements swarm.Role.
func (c *pushClient) Closed(*swarm.Conn, swarm.End) {}

func (c *pushClient) start() {
	c.requests.begin(swarm.Now())
	for range c.requests.sent {
		c.conn.Send(c.request)
	}
}

var (
	success   = []byte("HTTP/1.1 2")
	endOfHead = []byte("\r\n\r\n")
)

// Message implements swarm.Role. An answer to a send has no body.
func (c *pushClient) Message(conn *swarm.Conn, _ frame.Opcode, p []byte) {
	c.partial = append(c.partial, p...)
	for {
		end := bytes.Index(c.partial, endOfHead)
		if end < 0 {
			return
		}
		if !bytes.HasPrefix(c.partial, success) {
			c.loop.refused++ // has a body, so this connection cannot go on
			conn.Abort(false)
			return
		}
		c.partial = c.partial[:copy(c.partial, c.partial[end+len(endOfHead):])]
		took := c.requests.answered(swarm.Now())
		if c.loop.recording {
			c.loop.answers++
			c.loop.latency.Record(took)
		}
		conn.Send(c.request)
	}
}

// pushMember is the member of the group.
type pushMember struct {
	loop  *pushLoop
	ready bool
}

// Open implements swarm.Role.
func (*pushMember) Open(*swarm.Conn) {}

// Closed implements swarm.Role.
func (*pushMember) Closed(*swarm.Conn, swarm.End) {}

// Message implements swarm.Role: `connected`, then the messages.
func (m *pushMember) Message(conn *swarm.Conn, _ frame.Opcode, _ []byte) {
	if !m.ready {
		m.ready = true
		conn.Ready()
		return
	}
	m.loop.received++
}
