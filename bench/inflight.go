package bench

import "time"

// inFlight is when the requests under way on one connection were sent. The
// answers come in their order, so the times are a ring; each answer makes room
// for the next request.
type inFlight struct {
	sent   []int64
	oldest int // index in sent
}

func newInFlight(depth int) inFlight { return inFlight{sent: make([]int64, depth)} }

// begin notes that all of them were sent at that time.
func (f *inFlight) begin(now int64) {
	for i := range f.sent {
		f.sent[i] = now
	}
}

// answered returns how long the oldest request took, and notes that the next one
// is sent now.
func (f *inFlight) answered(now int64) time.Duration {
	took := time.Duration(now - f.sent[f.oldest])
	f.sent[f.oldest] = now
	if f.oldest++; f.oldest == len(f.sent) {
		f.oldest = 0
	}
	return took
}
