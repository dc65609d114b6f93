package engine

import (
	"slices"

	"github.com/valyala/bytebufferpool"
)

// buffers is a loop's free list of output buffers. bytebufferpool's own pools
// will not do: they learn one size for all, and once they have, every larger
// buffer is made anew for each message, and the garbage collector empties them
// in the middle of a fan-out.
type buffers struct {
	free  []*bytebufferpool.ByteBuffer
	bytes int // capacity of all in free
	spare int // the fewest there were in free since the last age
}

const (
	// maxFreeBuffer is the largest buffer that is kept: one that holds the
	// answers to a whole read. maxFreeBytes is the most memory that a loop keeps
	// in free ones.
	maxFreeBuffer = 128 << 10
	maxFreeBytes  = 32 << 20
)

// get returns an empty buffer, owned by the caller until put.
func (b *buffers) get() *bytebufferpool.ByteBuffer {
	last := len(b.free) - 1
	if last < 0 {
		return new(bytebufferpool.ByteBuffer)
	}
	buf := b.free[last]
	b.free[last] = nil
	b.free = b.free[:last]
	b.bytes -= cap(buf.B)
	b.spare = min(b.spare, last)
	return buf
}

// put takes a buffer back.
func (b *buffers) put(buf *bytebufferpool.ByteBuffer) {
	if size := cap(buf.B); size <= maxFreeBuffer && b.bytes+size <= maxFreeBytes {
		buf.Reset()
		b.free = append(b.free, buf)
		b.bytes += size
	}
}

// age gives up a share of the buffers that nobody has needed since the last
// call, so that a burst is forgotten within seconds of ticks.
func (b *buffers) age() {
	n := (b.spare + 15) / 16
	for _, buf := range b.free[:n] {
		b.bytes -= cap(buf.B)
	}
	b.free = slices.Delete(b.free, 0, n) // the ones that have lain longest
	b.spare = len(b.free)
}
