package frame

import (
	"bytes"
	"io"

	"github.com/klauspost/compress/flate"
)

// inflateTail follows every compressed message: the four bytes that the sender
// cut off (RFC 7692 7.2.2), then an empty final block, so that a message that
// ends well ends with io.EOF and one that ends in the middle of a block does
// not.
const inflateTail = "\x00\x00\xff\xff" + "\x01\x00\x00\xff\xff"

const (
	firstInflated = 4 << 10 // bytes

	// maxFinalBlocks bounds the blocks with BFINAL set in one message. After
	// each the decoder starts afresh and takes its window over, and a megabyte
	// of nothing else would hold a loop up for more than 100 milliseconds.
	// Peers that use them at all write one per flush.
	maxFinalBlocks = 256
)

// maxDeflated is the size on the wire of a message of n bytes that was
// compressed badly: the fixed code has at most nine bits per byte, and stored
// blocks add less.
func maxDeflated(n int) int { return n + n/8 + 64 }

// inflater decompresses. Its decoder is made when it is first needed.
type inflater struct {
	decoder io.Reader // also a flate.Resetter
	src     bytes.Reader
	wire    []byte // the message with its tail: the decoder is much faster on one slice
	out     []byte
}

// inflate returns the decompressed payload, which is valid until the next call,
// or an error as soon as it is known to be longer than most bytes.
func (f *inflater) inflate(payload []byte, from *direction, most int) ([]byte, error) {
	f.out, f.wire = scratch(f.out), scratch(f.wire)
	if len(payload) == 0 {
		return f.out, nil // not even a block; some peers send this for an empty message
	}
	f.wire = append(append(f.wire, payload...), inflateTail...)
	f.src.Reset(f.wire)
	history := from.history
	for range maxFinalBlocks {
		f.reset(history)
		if err := f.run(most); err != nil {
			return nil, err
		}
		switch left := f.src.Len(); {
		case left == 0, left == len(inflateTail):
			from.remember(f.out)
			return f.out, nil
		case left < len(inflateTail):
			return nil, errDeflateData // a final block reached into the tail
		}
		// A block with BFINAL set does not end the message (RFC 7692 7.2.3.4),
		// and the window goes on across it.
		if history = last(f.out, from.window()); len(history) < from.window() {
			history = append(bytes.Clone(from.history), history...)
		}
	}
	return nil, errDeflateData
}

func (f *inflater) reset(history []byte) {
	if f.decoder == nil {
		f.decoder = flate.NewReader(&f.src)
	}
	must(f.decoder.(flate.Resetter).Reset(&f.src, history))
}

// run appends to out until the decoder has seen a final block.
func (f *inflater) run(most int) error {
	for {
		if len(f.out) == cap(f.out) {
			f.grow(most)
		}
		n, err := f.decoder.Read(f.out[len(f.out):cap(f.out)])
		f.out = f.out[:len(f.out)+n]
		switch {
		case len(f.out) > most:
			return errTooBig
		case err == io.EOF:
			return nil
		case err != nil:
			return errDeflateData
		}
	}
}

// grow doubles out, but not beyond the one byte that proves a message too big.
func (f *inflater) grow(most int) {
	grown := make([]byte, len(f.out), min(max(2*cap(f.out), firstInflated), most+1))
	copy(grown, f.out)
	f.out = grown
}

// maxScratch is the size in bytes above which a loop does not keep scratch
// memory from one message to the next.
const maxScratch = 1 << 20

// scratch returns b emptied for reuse, or nil when it is too large to keep.
func scratch(b []byte) []byte {
	if cap(b) > maxScratch {
		return nil
	}
	return b[:0]
}
