package hub

import "sluice/frame"

// replay is the messages of one reliable session that its client has not
// acknowledged. Their numbers follow one another, so only the first is kept.
// The messages are beginnings, shared with all other receivers.
type replay struct {
	waiting []kept
	first   uint64 // number of waiting[0]; of the next message when there is none
	next    int    // waiting[:next] were written to the present link
	written uint64 // the highest number that was written to any link
	bytes   int

	few [4]kept // where waiting stands for a client that keeps up
}

// kept is a message that may be needed again.
type kept struct {
	message *frame.Message
	until   int64 // nanoseconds since 1970; 0 for as long as the session lasts
}

func (k kept) size() int { return len(k.message.Payload()) }

// add appends a message; its number is one above that of the one before.
func (r *replay) add(k kept) {
	if len(r.waiting) == 0 {
		r.waiting = r.few[:0] // what a burst has taken is given back
	}
	r.waiting = append(r.waiting, k)
	r.bytes += k.size()
}

// acknowledge forgets the messages up to a number, of those that were written:
// what a client has not got it cannot know. It returns the bytes that are free.
func (r *replay) acknowledge(id uint64) (free int) {
	id = min(id, r.written)
	if id < r.first {
		return 0
	}
	n := int(id - r.first + 1)
	for i := range n {
		free += r.waiting[i].size()
		r.waiting[i] = kept{}
	}
	r.first += uint64(n)
	r.next = max(0, r.next-n)
	r.bytes -= free
	if r.waiting = r.waiting[n:]; len(r.waiting) == 0 {
		r.waiting = nil
	}
	return free
}

// rewind has everything written once more.
func (r *replay) rewind() { r.next = 0 }

// pending reports whether there is something that was not written.
func (r *replay) pending() bool { return r.next < len(r.waiting) }

// take returns the next message to write, and its number.
func (r *replay) take() (k kept, id uint64) {
	k, id = r.waiting[r.next], r.first+uint64(r.next)
	r.next++
	r.written = max(r.written, id)
	return k, id
}

// ackCache is the ackIds of the latest requests that have succeeded.
type ackCache struct {
	ids    []uint64 // a ring once it is full
	oldest int
}

// maxAckIDs is how many are remembered; published clients count on it.
const maxAckIDs = 1000

// has is a scan: a thousand numbers in a row take less time than the request
// that they save.
func (c *ackCache) has(id uint64) bool {
	for _, known := range c.ids {
		if known == id {
			return true
		}
	}
	return false
}

func (c *ackCache) add(id uint64) {
	if len(c.ids) < maxAckIDs {
		c.ids = append(c.ids, id)
		return
	}
	c.ids[c.oldest] = id
	c.oldest = (c.oldest + 1) % maxAckIDs
}
