package swarm

import "container/heap"

// timers are calls to make at a time, the earliest first.
type timers []timer

type timer struct {
	due int64
	f   func(l *Loop)
}

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].due < t[j].due }
func (t timers) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *timers) Push(x any)        { *t = append(*t, x.(timer)) }
func (t *timers) Pop() any {
	last := len(*t) - 1
	x := (*t)[last]
	(*t)[last] = timer{}
	*t = (*t)[:last]
	return x
}

// add puts in a call.
func (t *timers) add(due int64, f func(l *Loop)) { heap.Push(t, timer{due, f}) }

// take returns the next call that is due, or nil.
func (t *timers) take(now int64) func(l *Loop) {
	if len(*t) == 0 || (*t)[0].due > now {
		return nil
	}
	return heap.Pop(t).(timer).f
}
