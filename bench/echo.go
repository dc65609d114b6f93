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
)

// Echo keeps a number of messages under way on every connection, to a server
// that sends them back.
type Echo struct {
	Connections, Depth, Size int
	Binary                   bool
	Warmup, Duration         time.Duration
}

// Flags declares the flags.
func (e *Echo) Flags(fs *flag.FlagSet) {
	fs.IntVar(&e.Connections, "connections", 100, "connections to open")
	fs.IntVar(&e.Depth, "depth", 1, "messages under way on each connection")
	fs.IntVar(&e.Size, "size", 128, "`bytes` of a message")
	fs.BoolVar(&e.Binary, "binary", false, "send binary messages, which no server needs to check for UTF-8")
	fs.DurationVar(&e.Warmup, "warmup", time.Second, "time before the measurement")
	fs.DurationVar(&e.Duration, "duration", 10*time.Second, "time to measure")
}

// Validate returns the first problem.
func (e *Echo) Validate() error {
	return errors.Join(
		between("--connections", e.Connections, 1, maxConnections),
		between("--depth", e.Depth, 1, 4096),
		between("--size", e.Size, 1, 1<<20),
		lasting("--warmup", e.Warmup, 0),
		lasting("--duration", e.Duration, time.Millisecond),
	)
}

// echoLoop is what the connections of one loop share.
type echoLoop struct {
	clients   []*echoClient
	recording bool
	messages  uint64
	wrong     uint64 // answers that are not what was sent
	latency   hdr.Histogram
}

// Run puts the load on.
func (e *Echo) Run(ctx context.Context, r *Rig) error {
	if err := r.launch(e.Connections); err != nil {
		return err
	}
	payload := bytes.Repeat([]byte{'e'}, e.Size)
	op := frame.OpText
	if e.Binary {
		op = frame.OpBinary
	}
	burst := bytes.Repeat(swarm.AppendFrame(nil, op, payload), e.Depth)
	r.swarm.Each(func(l *swarm.Loop) { l.Data = &echoLoop{} })
	r.phase("opening")
	err := r.open(ctx, e.Connections, func(l *swarm.Loop, i int) swarm.Plan {
		c := &echoClient{loop: l.Data.(*echoLoop), op: op, payload: payload, burst: burst, messages: newInFlight(e.Depth)}
		return swarm.Plan{Role: c, Request: r.request(auth.Claims{User: userName(i)}), Stream: r.scheme == "tcp"}
	})
	if err != nil {
		return err
	}
	r.swarm.Each(func(l *swarm.Loop) {
		for _, c := range l.Data.(*echoLoop).clients {
			c.start()
		}
	})
	m, err := r.measure(ctx, e.Warmup, e.Duration, func(l *swarm.Loop, on bool) { l.Data.(*echoLoop).recording = on })
	if err != nil {
		return err
	}
	e.report(r, m)
	r.swarm.CloseAll()
	return nil
}

func (e *Echo) report(r *Rig, m measurement) {
	var mu sync.Mutex
	var all echoLoop
	r.swarm.Each(func(l *swarm.Loop) {
		mu.Lock()
		defer mu.Unlock()
		one := l.Data.(*echoLoop)
		all.messages += one.messages
		all.wrong += one.wrong
		all.latency.Merge(&one.latency)
	})
	r.Report.add("messages_per_second", float64(all.messages)/m.took.Seconds(), "answers")
	r.addCPU(m, all.messages, 1e6, "million")
	r.Report.addLatency(&all.latency, "from sending to the answer")
	r.Report.add("wrong_answers", float64(all.wrong), "that are not what was sent")
}

// echoClient sends a message for each answer.
type echoClient struct {
	loop    *echoLoop
	conn    *swarm.Conn
	op      frame.Opcode
	payload []byte
	burst   []byte // as many frames as are under way
	partial int    // bytes of an answer that has not come whole, of a mere stream

	messages inFlight
}

// Open implements swarm.Role.
func (c *echoClient) Open(conn *swarm.Conn) {
	c.conn = conn
	c.loop.clients = append(c.loop.clients, c)
}

// Closed implements swarm.Role.
func (c *echoClient) Closed(*swarm.Conn, swarm.End) {}

func (c *echoClient) start() {
	c.messages.begin(swarm.Now())
	c.conn.Send(c.burst)
}

func (c *echoClient) frame() []byte { return c.burst[:len(c.burst)/len(c.messages.sent)] }

// Message implements swarm.Role.
func (c *echoClient) Message(conn *swarm.Conn, op frame.Opcode, p []byte) {
	if conn.Streams() {
		c.partial += len(p)
		for size := len(c.frame()); c.partial >= size; c.partial -= size {
			c.answer()
		}
		return
	}
	if op != c.op || !bytes.Equal(p, c.payload) {
		c.loop.wrong++
	}
	c.answer()
}

// answer notes an answer and sends the next message.
func (c *echoClient) answer() {
	took := c.messages.answered(swarm.Now())
	if c.loop.recording {
		c.loop.messages++
		c.loop.latency.Record(took)
	}
	c.conn.Send(c.frame())
}
