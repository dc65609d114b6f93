package frame

import "github.com/valyala/bytebufferpool"

// Buffers for frames and messages that arrive in parts come from one pool per
// size, each four times the one before. A pool of mixed sizes would not do: a
// connection waiting for the rest of a small frame could sit on the large
// buffer that somebody else's message once needed, and bytebufferpool, which
// watches what comes back, would drop all buffers larger than most.
//
// Above the largest size buffers are left to the garbage collector: keeping
// them would pin the memory of the worst moment.
const (
	smallestBuffer = 256      // bytes
	largestBuffer  = 64 << 10 // bytes: one read of an event loop
)

// bufferPools[i] holds buffers of smallestBuffer<<(2*i) bytes exactly.
var bufferPools [5]bytebufferpool.Pool

// bufferClass returns the pool for size bytes, and the size of its buffers. The
// size must not be above largestBuffer.
func bufferClass(size int) (pool *bytebufferpool.Pool, class int) {
	i, class := 0, smallestBuffer
	for class < size {
		i, class = i+1, class*4
	}
	return &bufferPools[i], class
}

// growBuffer returns b, or a replacement that now owns b's bytes, with room
// for n more. A nil b stands for an empty one.
//
// The room at least doubles, which keeps any number of tiny parts linear. It is
// made for what has arrived: what a peer announced and did not send costs
// nothing. The most that can arrive only keeps a large buffer from outgrowing
// its message.
func growBuffer(b *bytebufferpool.ByteBuffer, n, most int) *bytebufferpool.ByteBuffer {
	var held []byte
	if b != nil {
		held = b.B
	}
	need := len(held) + n
	if b != nil && need <= cap(held) {
		return b
	}
	grown := getBuffer(need, most)
	grown.B = append(grown.B, held...)
	putBuffer(b)
	return grown
}

func getBuffer(need, most int) *bytebufferpool.ByteBuffer {
	if need > largestBuffer {
		return &bytebufferpool.ByteBuffer{B: make([]byte, 0, max(need, min(2*need, most)))}
	}
	pool, class := bufferClass(need)
	b := pool.Get()
	if cap(b.B) < class {
		b.B = make([]byte, 0, class)
	}
	return b
}

// putBuffer takes b, which may be nil, back. Its owner must not touch it again.
func putBuffer(b *bytebufferpool.ByteBuffer) {
	if b == nil || cap(b.B) > largestBuffer {
		return
	}
	pool, _ := bufferClass(cap(b.B))
	b.B = b.B[:cap(b.B)] // so that the pool learns its one size, not how much was used
	pool.Put(b)
}
