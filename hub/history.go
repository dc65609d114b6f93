package hub

import (
	cryptorand "crypto/rand"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sluice/hub/wire"
)

// history is the newest messages of one group, for those who join later. It is
// there while the group is, and after that until its messages are too old.
//
// Whoever publishes to the group holds the lock while the message is numbered,
// kept and handed to the loops, so every loop gets the messages in the order of
// their offsets; who joins with a wish for history looks under the same lock, and
// so what it is told and what comes live fit together.
type history struct {
	// static
	hub   *Hub
	name  string // of the group
	limit historyLimit
	epoch string // offsets mean nothing without it

	// seen is, for each loop, the offset of the last message that was delivered
	// there, or came before the first member; owned by the loop.
	seen []uint64

	refs  int // guarded by the stripe lock of Hub.histories; groups, and callers for a moment
	index int // in historyPool.all; guarded by its lock

	// written under mu
	newest  atomic.Uint64 // offset of the newest message that there ever was
	touched atomic.Int64  // when that came, nanoseconds since 1970
	count   atomic.Int32  // len(past)

	mu    sync.Mutex
	past  []past // guarded by mu; the oldest first, offsets without gaps
	bytes int    // guarded by mu; of all in past
}

// past is a message that is kept. It does not change.
type past struct {
	message wire.Message // with its offset and bytes of its own
	at      int64        // when it came, nanoseconds since 1970
	until   int64        // when it is good for nothing any more; 0 for never
}

// historyLimit is what bounds the history of a group; no messages, no history.
type historyLimit struct {
	messages, bytes int
	age             time.Duration
}

// pastOverhead is what a kept message costs beside its bytes, about.
const pastOverhead = 200

func (p *past) size() int {
	n := pastOverhead + len(p.message.FromUser) + len(p.message.Data)
	for _, m := range p.message.Metadata {
		n += len(m.Key) + len(m.Value)
	}
	return n
}

// recall returns the history of the group of that name, whose policy has one, for
// the caller to dismiss.
func (h *Hub) recall(name string, limit historyLimit) *history {
	hist, _ := h.histories.Compute(name, func(hist *history, ok bool) (*history, bool) {
		if !ok {
			hist = &history{hub: h, name: name, limit: limit, epoch: cryptorand.Text()[:10], seen: make([]uint64, len(h.node.lanes))}
			h.node.pasts.add(hist)
		}
		hist.refs++
		return hist, true
	})
	return hist
}

// dismiss gives a history back. With nobody left and nothing in it, it is gone.
func (h *Hub) dismiss(hist *history) {
	h.histories.Compute(hist.name, func(*history, bool) (*history, bool) {
		hist.refs--
		return hist, !hist.forgotten()
	})
}

// forgotten takes a history out of the pool if nobody needs it. It is called under
// the stripe lock of Hub.histories; who adds to a history has a reference.
func (hist *history) forgotten() bool {
	if hist.refs > 0 || hist.count.Load() > 0 {
		return false
	}
	hist.hub.node.pasts.remove(hist)
	return true
}

// add keeps a message under the next offset, or only counts it where it is too
// large: then everything before it goes, because a history has no gaps. The node's
// budget has room for it. It needs the lock.
func (hist *history) add(p past, fits bool) (offset uint64) {
	offset = hist.newest.Load() + 1
	p.message.Offset = offset
	hist.newest.Store(offset)
	hist.touched.Store(p.at)
	if !fits {
		hist.drop(len(hist.past))
		return offset
	}
	hist.past = append(hist.past, p)
	hist.bytes += p.size()
	hist.count.Add(1)
	hist.trim(p.at)
	return offset
}

// trim drops what is over the limits. It needs the lock.
func (hist *history) trim(now int64) {
	n, bytes := 0, hist.bytes
	for n < len(hist.past) && (len(hist.past)-n > hist.limit.messages || bytes > hist.limit.bytes ||
		hist.past[n].at < now-int64(hist.limit.age)) {
		bytes -= hist.past[n].size()
		n++
	}
	hist.drop(n)
}

// drop drops the n oldest messages. It needs the lock.
func (hist *history) drop(n int) {
	if n == 0 {
		return
	}
	for i := range hist.past[:n] {
		size := hist.past[i].size()
		hist.bytes -= size
		hist.hub.node.pasts.bytes.Add(-int64(size))
		hist.past[i] = past{}
	}
	hist.count.Add(int32(-n))
	if hist.past = hist.past[n:]; len(hist.past) == 0 {
		hist.past = nil
	}
}

// recollection is a part of a history as somebody is told it.
type recollection struct {
	info     wire.HistoryInfo
	messages []past
}

// page returns what is kept after an offset, or of the newest so many, and in any
// case what comes after missed, which the caller has not been told otherwise. It
// needs the lock.
func (hist *history) page(wish wire.History, missed uint64, now int64) recollection {
	hist.trim(now)
	newest := hist.newest.Load()
	oldest := newest + 1 - uint64(len(hist.past))
	from := wish.Since + 1
	switch {
	case wish.Last > 0:
		from = newest + 1 - min(newest, uint64(wish.Last))
	case len(wish.Epoch) > 0 && string(wish.Epoch) != hist.epoch:
		from = 0 // of another history: all there is, and that is not what was asked for
	}
	complete := from >= oldest
	from = max(oldest, min(from, missed+1, newest+1))
	p := recollection{info: wire.HistoryInfo{Group: hist.name, Epoch: hist.epoch, Offset: newest, Complete: complete}}
	for _, m := range hist.past[from-oldest:] {
		if m.until == 0 || now <= m.until {
			p.messages = append(p.messages, m)
		}
	}
	return p
}

// historyPool is all histories of the node, for their common budget.
type historyPool struct {
	limit   int64 // static
	swept   int64 // owned by who calls sweep: when it was done last
	bytes   atomic.Int64
	evicted atomic.Uint64 // messages that were dropped for the budget

	mu  sync.Mutex
	all []*history // guarded by mu
}

func (p *historyPool) add(hist *history) {
	p.mu.Lock()
	defer p.mu.Unlock()
	hist.index = len(p.all)
	p.all = append(p.all, hist)
}

func (p *historyPool) remove(hist *history) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.all) - 1
	moved := p.all[last]
	p.all[hist.index], moved.index = moved, hist.index
	p.all[last] = nil
	p.all = shrink(p.all[:last])
}

// reserve books the bytes of a message that will be kept, at the cost of the
// histories that have not been added to for longest, about: of a few that are
// taken at random the oldest. No lock of a history may be held. False means that
// the message is larger than all of the budget.
func (p *historyPool) reserve(size int) bool {
	if int64(size) > p.limit {
		return false
	}
	for over := p.bytes.Add(int64(size)) - p.limit; over > 0; over = p.bytes.Load() - p.limit {
		victim := p.victim()
		if victim == nil {
			return true // others have reserved and not added yet
		}
		victim.mu.Lock()
		n, free := 0, 0
		for n < len(victim.past) && int64(free) < over {
			free += victim.past[n].size()
			n++
		}
		victim.drop(n)
		victim.mu.Unlock()
		p.evicted.Add(uint64(n))
	}
	return true
}

// victim chooses a history that is not empty, nil where there is none.
func (p *historyPool) victim() (oldest *history) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range min(8, len(p.all)) {
		hist := p.all[rand.IntN(len(p.all))]
		if hist.count.Load() > 0 && (oldest == nil || hist.touched.Load() < oldest.touched.Load()) {
			oldest = hist
		}
	}
	for i := 0; i < len(p.all) && oldest == nil; i++ { // nearly all are empty
		if p.all[i].count.Load() > 0 {
			oldest = p.all[i]
		}
	}
	return oldest
}

// sweepEvery is how often histories that nobody asks for are looked at.
const sweepEvery = 10 * time.Second

// sweep drops what is too old in all histories, and those that are empty and of no
// group. It is called with every tick.
func (p *historyPool) sweep(now int64) {
	if now-p.swept < int64(sweepEvery) {
		return
	}
	p.swept = now
	p.mu.Lock()
	all := slices.Clone(p.all)
	p.mu.Unlock()
	for _, hist := range all {
		hist.mu.Lock()
		hist.trim(now)
		hist.mu.Unlock()
		if hist.count.Load() == 0 {
			hist.hub.histories.Compute(hist.name, func(there *history, ok bool) (*history, bool) {
				return there, ok && (there != hist || !hist.forgotten())
			})
		}
	}
}
