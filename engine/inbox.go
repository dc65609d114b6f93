package engine

import "sync"

// inbox is the one way from other goroutines onto a loop: a bounded list of
// tasks that keeps its order. gnet's own queues are not used, because they
// reorder under load and allocate per task.
type inbox struct {
	mu     sync.Mutex
	tasks  []Task // guarded by mu
	closed bool   // guarded by mu
	limit  int    // static

	// running and next belong to the loop: the tasks taken out of the list and
	// the first of them that has not run.
	running []Task
	next    int
}

// put appends a task; false means that the inbox is full or closed.
func (b *inbox) put(t Task) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.tasks) >= b.limit {
		return false
	}
	b.tasks = append(b.tasks, t)
	return true
}

// take returns the next task, nil when there is none. Loop only.
func (b *inbox) take() Task {
	if b.next == len(b.running) {
		b.mu.Lock()
		b.running, b.tasks = b.tasks, b.running[:0]
		b.mu.Unlock()
		b.next = 0
		if len(b.running) == 0 {
			return nil
		}
	}
	t := b.running[b.next]
	b.running[b.next] = nil // the task is not kept alive by the buffer
	b.next++
	return t
}

// close refuses everything from now on. Tasks already in the inbox stay.
func (b *inbox) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
}
