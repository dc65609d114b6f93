package introspect

import (
	"container/list"
	"time"

	"sluice/auth"
)

// answers are what a provider has said, each for a while, and no more than so many:
// the one that was not used for the longest time goes first. Made-up tokens push out
// others' answers that nobody uses, and cost the others a request at the worst.
//
// It is not safe for concurrent use.
type answers struct {
	most  int
	byKey map[key]*list.Element
	used  *list.List // of *remembered; the latest first
}

type remembered struct {
	key   key
	said  auth.Introspected
	until time.Time
}

func newAnswers(most int) *answers {
	return &answers{most: most, byKey: make(map[key]*list.Element), used: list.New()}
}

func (a *answers) len() int { return a.used.Len() }

// get returns an answer that still counts.
func (a *answers) get(k key, now time.Time) (auth.Introspected, bool) {
	e := a.byKey[k]
	if e == nil {
		return auth.Introspected{}, false
	}
	r := e.Value.(*remembered)
	if !now.Before(r.until) {
		a.remove(e)
		return auth.Introspected{}, false
	}
	a.used.MoveToFront(e)
	return r.said, true
}

// put remembers an answer in place of an older one.
func (a *answers) put(k key, said auth.Introspected, until time.Time) {
	if e := a.byKey[k]; e != nil {
		a.remove(e)
	}
	if a.used.Len() >= a.most {
		a.remove(a.used.Back())
	}
	a.byKey[k] = a.used.PushFront(&remembered{k, said, until})
}

func (a *answers) remove(e *list.Element) {
	delete(a.byKey, e.Value.(*remembered).key)
	a.used.Remove(e)
}
