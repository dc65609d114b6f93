package hub

import (
	"slices"
	"sync"

	"sluice/frame"
	"sluice/hub/wire"
)

// maxScratch is the largest encoding buffer that is kept, in bytes. A larger
// message is rare; its buffer goes back to the collector.
const maxScratch = 64 << 10

// encoder turns what a grammar appends into messages. It has one owner at a
// time: a lane, or whoever has taken it from the node's pool.
type encoder struct{ scratch []byte }

// blank returns the buffer to append one message to: empty but for the room that
// the frame header needs. It is valid until seal takes it back.
func (e *encoder) blank() []byte {
	if e.scratch == nil {
		e.scratch = make([]byte, frame.HeadRoom, 512)
	}
	return e.scratch[:frame.HeadRoom]
}

// seal turns what was appended to blank's buffer into a message of exactly its
// size, because messages wait in the queues of slow clients. It returns nil when
// nothing was appended: the grammar has no such message.
func (e *encoder) seal(buf []byte, binary bool) *frame.Message {
	if len(buf) == frame.HeadRoom {
		e.keep(buf)
		return nil
	}
	return e.sealed(buf, binary)
}

func (e *encoder) sealed(buf []byte, binary bool) *frame.Message {
	e.keep(buf)
	op := frame.OpText
	if binary {
		op = frame.OpBinary
	}
	return frame.Seal(op, slices.Clone(buf))
}

// keep takes back blank's buffer, which may have grown.
func (e *encoder) keep(buf []byte) {
	e.scratch = buf
	if cap(buf) > maxScratch {
		e.scratch = nil
	}
}

// message makes the message that m is in a grammar. That may be an empty one, of a
// raw client; but the end of a stream is nothing to such a client, and then it is
// nil.
func (e *encoder) message(g wire.Grammar, m *wire.Message) *frame.Message {
	buf := g.AppendMessage(e.blank(), m)
	if m.Stream != nil {
		return e.seal(buf, g.Binary(m))
	}
	return e.sealed(buf, g.Binary(m))
}

// encoders lends encoders to goroutines that have no loop.
type encoders struct{ pool sync.Pool }

func (p *encoders) get() *encoder {
	if e, ok := p.pool.Get().(*encoder); ok {
		return e
	}
	return &encoder{}
}

// put takes an encoder back; nothing made with it refers to it.
func (p *encoders) put(e *encoder) { p.pool.Put(e) }
