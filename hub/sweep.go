package hub

// sweepTurn is how many sessions a sweep visits before the loop's sockets get
// their turn.
const sweepTurn = 1024

// list is sessions of one loop that come and go: those of a hub or of a group.
// One that goes is replaced by the last one, and new ones go to the end.
type list interface {
	len() int
	at(i int) *Session
}

var (
	_ list = (*residents)(nil)
	_ list = (*roster)(nil)
)

// sweep visits the selected sessions of a list, as a task for their loop. It goes
// from the end to the beginning, so that nobody who is there from its start to
// its end is passed over, whoever comes or goes meanwhile. Somebody may be visited
// twice, and those who come meanwhile may be visited.
type sweep struct {
	lane  *lane
	list  list
	only  *selection
	visit func(s *Session) refusal
	done  func(first refusal) // told the first refusal of all visits; may be nil

	// owned by the loop
	started bool
	left    int // the sessions below that index are still to be visited
	first   refusal
}

// Run visits some and posts itself again for the rest.
func (w *sweep) Run() {
	if !w.started {
		w.started, w.left = true, w.list.len()
	}
	for turn := 0; w.step(); turn++ {
		// With a full inbox it goes on: late is better than never.
		if turn >= sweepTurn && w.lane.loop.Post(w) {
			return
		}
	}
	if w.done != nil {
		w.done(w.first)
	}
}

// step visits one session and reports whether there was one.
func (w *sweep) step() bool {
	w.left = min(w.left, w.list.len()) - 1
	if w.left < 0 {
		return false
	}
	if s := w.list.at(w.left); w.only.takes(s) {
		w.first = w.first.or(w.visit(s))
	}
	return true
}
