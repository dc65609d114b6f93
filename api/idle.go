package api

import (
	"container/list"
	"sync"
)

// idlers are the connections on which no request is under way. Of a listener with
// few places they may hold only some: one more, and the one that has been silent for
// longest is closed, which every client must be prepared for (RFC 9112 section 9.3).
// Else a few hundred clients that ask once and then stay could keep everybody from
// the server.
type idlers struct {
	most    int // 0: any number
	evicted func()

	mu   sync.Mutex
	list list.List // guarded by mu; of *watchedConn, the longest silent first
}

// add takes in a connection that is silent now.
func (s *idlers) add(c *watchedConn) {
	if s.most == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.idle = s.list.PushBack(c)
	for e := s.list.Front(); e != nil && s.list.Len() > s.most; {
		victim, next := e.Value.(*watchedConn), e.Next()
		if victim.toCome.Load() > 0 { // its next request has not begun
			s.list.Remove(e)
			victim.idle = nil
			victim.dismiss()
			s.evicted()
		}
		e = next
	}
}

// remove lets go of a connection that is not silent any more, or was closed.
func (s *idlers) remove(c *watchedConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.idle != nil {
		s.list.Remove(c.idle)
		c.idle = nil
	}
}
