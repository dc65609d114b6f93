package hub

import (
	"slices"
	"sync"
)

// maxLate is how many tasks wait for the next tick at most.
const maxLate = 1000

// late is what a loop was too busy to take and must do nevertheless.
type late struct {
	mu    sync.Mutex
	tasks []lateTask // guarded by mu
}

type lateTask struct {
	lane *lane
	task Task
}

// insist posts a task that must not be lost: if not now, with one of the next
// ticks. It is lost and counted when too many wait already.
func (h *Hub) insist(l *lane, t Task) {
	if l.loop.Post(t) {
		return
	}
	late := &h.node.late
	late.mu.Lock()
	defer late.mu.Unlock()
	if len(late.tasks) == maxLate {
		h.outside().refused[overloaded].Add(1)
		return
	}
	late.tasks = append(late.tasks, lateTask{l, t})
}

// retry posts what waits for a tick, and keeps what is still not taken.
func (w *late) retry() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tasks = slices.DeleteFunc(w.tasks, func(t lateTask) bool { return t.lane.loop.Post(t.task) })
}
