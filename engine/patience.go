package engine

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"sluice/internal/later"
)

// Patience lets clients that come over HTTP wait to be judged, as those on the loops
// do: in the goroutine of their request. So no more of them wait than may be
// connected. It is safe for concurrent use.
type Patience struct {
	most  time.Duration
	until context.Context
	end   context.CancelFunc
}

// NewPatience returns one that lasts for that long with each client, 10 s if most is
// zero.
func NewPatience(most time.Duration) *Patience {
	p := &Patience{most: cmp.Or(most, 10*time.Second)}
	p.until, p.end = context.WithCancel(context.Background())
	return p
}

// End ends every wait: nobody is let in any more.
func (p *Patience) End() { p.end() }

// Judge asks judge about a request, and again each time that a Refusal.Later of its
// own has come to something, as Handler.Upgrade is asked. A refusal that still has a
// Later is that of a client that has waited in vain. The body of the request must have
// been read, or net/http does not see the client go away.
func Judge[A any](p *Patience, r *http.Request, judge func(r *http.Request) (A, *Refusal)) (A, *Refusal) {
	a, refusal := judge(r)
	if refusal == nil || refusal.Later == nil {
		return a, refusal
	}
	ctx, cancel := context.WithTimeout(r.Context(), p.most)
	defer cancel()
	defer context.AfterFunc(p.until, cancel)()
	r = Waited(r)
	for asked := 1; asked < maxAsked && refusal != nil && refusal.Later != nil && later.Block(ctx, refusal.Later); asked++ {
		a, refusal = judge(r)
	}
	return a, refusal
}
