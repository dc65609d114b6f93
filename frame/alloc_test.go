package frame_test

import (
	"strings"
	"testing"

	"sluice/frame"
)

// echoer is the hot path of a connection: read events from a buffer that is
// used again and again, and append the answer to another.
type echoer struct {
	t     testing.TB
	r     frame.Reader
	c     *frame.Codec
	d     *frame.Deflate
	wire  []byte
	parts []int
	in    []byte
	out   []byte
	want  int // events per run
}

func newEchoer(t testing.TB, wire []byte, d *frame.Deflate) *echoer {
	e := &echoer{t: t, c: frame.NewCodec(frame.Config{}), d: d, wire: wire, in: make([]byte, len(wire)), parts: []int{len(wire)}, want: 1}
	e.r.SetDeflate(d)
	return e
}

// run reads the wire once, cut into parts.
func (e *echoer) run() {
	copy(e.in, e.wire)
	e.out = e.out[:0]
	events, rest := 0, e.in
	for _, n := range e.parts {
		part := rest[:n]
		rest = rest[n:]
		for {
			ev, n, err := e.r.Next(e.c, part)
			if err != nil {
				e.t.Fatal(err)
			}
			if ev.Kind == frame.KindNone {
				break
			}
			events++
			part = part[n:]
			e.echo(ev)
		}
	}
	if events != e.want {
		e.t.Fatalf("%d events, want %d", events, e.want)
	}
}

func (e *echoer) echo(ev frame.Event) {
	switch ev.Kind {
	case frame.KindMessage:
		e.out = e.c.AppendMessage(e.out, ev.Op, ev.Payload, e.d)
	case frame.KindPing:
		e.out = frame.AppendFrame(e.out, frame.OpPong, ev.Payload)
	case frame.KindClose:
		e.out = frame.AppendClose(e.out, ev.Code, "")
	}
}

// halves cuts the wire in two.
func (e *echoer) halves() *echoer {
	half := len(e.wire) / 2
	e.parts = []int{half, len(e.wire) - half}
	return e
}

func (e *echoer) events(n int) *echoer { e.want = n; return e }

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("counts nothing under the race detector")
	}
	msg := func(op frame.Opcode, n int) []byte { return stream(true, fr{true, false, op, string(sample(n, 0))}) }
	fragmented := stream(true, fr{false, false, 1, string(sample(3000, 0))}, fr{true, false, 9, "ping"}, fr{true, false, 0, "end"})
	zipped := func(n int) []byte {
		return stream(true, fr{true, true, 1, string(stdDeflate(sample(n, 0), nil))})
	}
	d := negotiated(t, false, false)
	cases := map[string]*echoer{
		"text of 128 bytes":              newEchoer(t, msg(1, 128), nil),
		"binary of 4 KiB":                newEchoer(t, msg(2, 4<<10), nil),
		"binary of 64 KiB":               newEchoer(t, msg(2, 64<<10), nil),
		"binary of 64 KiB in two reads":  newEchoer(t, msg(2, 64<<10), nil).halves(),
		"text of 128 bytes in two reads": newEchoer(t, msg(1, 128), nil).halves(),
		"fragments and a ping":           newEchoer(t, fragmented, nil).events(2),
		"fragments in two reads":         newEchoer(t, fragmented, nil).events(2).halves(),
		"ping":                           newEchoer(t, msg(9, 100), nil),
		"ping in two reads":              newEchoer(t, msg(9, 100), nil).halves(),
		"close":                          newEchoer(t, stream(true, fr{true, false, 8, closeBody(1000, "bye")}), nil),
		"compressed 231 bytes":           newEchoer(t, zipped(231), d),
		"compressed 300 bytes":           newEchoer(t, zipped(300), d),
		"compressed 64 KiB in two reads": newEchoer(t, zipped(64<<10), d).halves(),
	}
	for name, e := range cases {
		t.Run(name, func(t *testing.T) {
			for range 10 {
				e.run() // warm: scratch, pools, coders
			}
			if n := testing.AllocsPerRun(200, e.run); n != 0 {
				t.Errorf("%v allocations per run", n)
			}
		})
	}
}

// After 42,000 buffers bytebufferpool begins to drop those that are larger than
// most; the pools must be such that there are none.
func TestNoAllocationsAfterManyBuffers(t *testing.T) {
	if raceEnabled {
		t.Skip("counts nothing under the race detector")
	}
	e := newEchoer(t, stream(true, fr{true, false, 2, string(sample(300, 0))}), nil).halves()
	for range 50_000 {
		e.run()
	}
	if n := testing.AllocsPerRun(200, e.run); n != 0 {
		t.Errorf("%v allocations per run", n)
	}
}

func TestNoAllocationsWithContext(t *testing.T) {
	if raceEnabled {
		t.Skip("counts nothing under the race detector")
	}
	d := negotiated(t, false, true)
	c := frame.NewCodec(frame.Config{})
	var out []byte
	payload := sample(300, 0)
	run := func() { out = c.AppendMessage(out[:0], frame.OpText, payload, d) }
	for range 50 {
		run() // until the history is full
	}
	if n := testing.AllocsPerRun(200, run); n != 0 {
		t.Errorf("%v allocations per message", n)
	}
}

func TestNoAllocationsPerRecipient(t *testing.T) {
	if raceEnabled {
		t.Skip("counts nothing under the race detector")
	}
	m := seal(frame.OpText, sample(500, 0))
	c := frame.NewCodec(frame.Config{})
	d := negotiated(t, false, false)
	out := make([]byte, 0, 2000)
	if n := testing.AllocsPerRun(200, func() {
		out = append(out[:0], m.Frame()...)
		out = append(out, m.Deflated(c, d)...)
	}); n != 0 {
		t.Errorf("%v allocations per recipient", n)
	}
}

// A hostile peer cannot make us allocate by breaking the rules.
func TestNoAllocationsPerViolation(t *testing.T) {
	if raceEnabled {
		t.Skip("counts nothing under the race detector")
	}
	c := frame.NewCodec(frame.Config{})
	for _, frames := range [][]fr{
		{{true, false, 3, ""}},
		{{true, false, 1, "\xff"}},
		{{true, false, 8, "x"}},
		{{true, false, 1, strings.Repeat("x", 1<<20+1)}},
	} {
		wire := stream(true, frames...)
		in := make([]byte, len(wire))
		if n := testing.AllocsPerRun(20, func() {
			copy(in, wire)
			var r frame.Reader
			if _, _, err := r.Next(c, in); err == nil {
				t.Fatal("no error")
			}
		}); n != 0 {
			t.Errorf("%v allocations for % .20x", n, wire)
		}
	}
}
