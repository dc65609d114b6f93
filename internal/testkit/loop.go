package testkit

import "testing"

// Loop is an event loop without sockets, for whoever needs one to post to: tasks run
// one after the other in a goroutine of its own until the test ends.
type Loop struct {
	tasks chan interface{ Run() }
	done  chan struct{}
}

// NewLoop starts a loop.
func NewLoop(t testing.TB) *Loop {
	l := &Loop{tasks: make(chan interface{ Run() }, 64), done: make(chan struct{})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case task := <-l.tasks:
				task.Run()
			case <-l.done:
				return
			}
		}
	}()
	t.Cleanup(func() { close(l.done); <-ended })
	return l
}

// Index returns the number of the loop, 0.
func (l *Loop) Index() int { return 0 }

// Post gives the loop a task; false when the test has ended.
func (l *Loop) Post(t interface{ Run() }) bool {
	select {
	case l.tasks <- t:
		return true
	case <-l.done:
		return false
	}
}
