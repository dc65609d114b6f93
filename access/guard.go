package access

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gaissmai/bart"

	"sluice/auth"
	"sluice/internal/rate"
)

// Guard judges addresses for a node.
type Guard struct {
	// static
	cfg     Config
	began   time.Time
	exempt  *bart.Lite
	rules   *Set
	limits  [placeKinds]int
	node    *rate.Limiter
	places  *places
	records *table // nil where nothing has to be remembered

	bans atomic.Uint64

	mu   sync.Mutex // one change of hubs at a time
	hubs atomic.Pointer[map[string]*Set]
}

// New returns a guard; hubs holds the rules of single hubs. cfg must have its
// defaults. The addresses of proxies are exempt from the limits. The error names
// every problem.
func New(cfg Config, hubs map[string]Rules, proxies []netip.Prefix) (*Guard, error) {
	g := &Guard{
		cfg:    cfg,
		began:  time.Now(),
		exempt: new(bart.Lite),
		limits: [placeKinds]int{PendingPlace: cfg.MaxPending, ConnectionPlace: cfg.MaxConnections, HTTPPlace: cfg.MaxHTTPConnections},
		node:   rate.New(cfg.MaxNodeHandshakesPerSecond),
		places: newPlaces(),
	}
	for _, list := range [][]netip.Prefix{cfg.Exempt, proxies} {
		for _, p := range list {
			g.exempt.Insert(p)
		}
	}
	if cfg.MaxHandshakesPerSecond > 0 || cfg.MaxFailuresPerMinute > 0 {
		g.records = newTable(cfg.MaxTracked)
	}
	var err error
	if g.rules, err = NewSet(cfg.Rules); err != nil {
		return nil, err
	}
	own := make(map[string]*Set, len(hubs))
	for hub, r := range hubs {
		if r.Empty() {
			continue
		}
		set, serr := NewSet(r)
		if serr != nil {
			err = errors.Join(err, fmt.Errorf("hub %s: %w", hub, serr))
		}
		own[auth.CanonicalHub(hub)] = set
	}
	g.hubs.Store(&own)
	return g, err
}

// Rules returns the rules of all hubs.
func (g *Guard) Rules() *Set { return g.rules }

// HubRules returns the rules of one hub, nil where it has none; with create it gets
// some. The name may be in any case; the caller knows that the hub exists.
func (g *Guard) HubRules(hub string, create bool) *Set {
	hub = auth.CanonicalHub(hub)
	if set := (*g.hubs.Load())[hub]; set != nil || !create {
		return set
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := *g.hubs.Load()
	if set := now[hub]; set != nil {
		return set
	}
	set, _ := NewSet(Rules{}) // nothing can be wrong with none
	more := maps.Clone(now)
	more[hub] = set
	g.hubs.Store(&more)
	return set
}

// Reload reads the files of rules that have changed; see [Set.Reload].
func (g *Guard) Reload() (changed bool, err error) {
	changed, err = g.rules.Reload()
	for hub, set := range *g.hubs.Load() {
		c, serr := set.Reload()
		changed = changed || c
		if serr != nil {
			err = errors.Join(err, fmt.Errorf("hub %s: %w", hub, serr))
		}
	}
	return changed, err
}

// Exempt tells whether an address is under no limits. An address that is not known,
// as of a client on a unix socket, is none.
func (g *Guard) Exempt(a netip.Addr) bool {
	return !a.IsValid() || g.exempt.Contains(a.Unmap().WithZone(""))
}

// Judge judges an address as soon as it is known, by the rules of all hubs and by
// what it has done before. It counts nothing and returns nil for a yes.
func (g *Guard) Judge(a netip.Addr) *Refusal {
	if !a.IsValid() {
		return nil
	}
	if !g.rules.Allows(a) {
		return denied
	}
	if left := g.bannedFor(a, g.now()); left > 0 {
		return banned(left)
	}
	return nil
}

// Handshake judges an opening handshake for a hub, or a session that is opened over
// HTTP, and counts it. It returns nil for a yes.
func (g *Guard) Handshake(a netip.Addr, hub string) *Refusal {
	if refusal := g.judgeFor(a, hub, true); refusal != nil {
		return refusal
	}
	now := g.now()
	if !g.inTime(a, int64(now)) { // before the node's limit, which others need
		return tooFast
	}
	if !g.node.Take(int64(now), 1) {
		return nodeRate
	}
	return nil
}

// Again is Handshake for one that was counted before and has waited since: the rules
// and bans may be others now.
func (g *Guard) Again(a netip.Addr, hub string) *Refusal { return g.judgeFor(a, hub, false) }

// judgeFor judges an address for a hub; first has shadow rules count it too.
func (g *Guard) judgeFor(a netip.Addr, hub string, first bool) *Refusal {
	if refusal := g.Judge(a); refusal != nil {
		return refusal
	}
	if a.IsValid() {
		if first {
			g.rules.shadow(a)
		}
		if set := g.HubRules(hub, false); set != nil {
			if first {
				set.shadow(a)
			}
			if !set.Allows(a) {
				return denied
			}
		}
	}
	return nil
}

// inTime counts a handshake of an address, where it has not had too many.
func (g *Guard) inTime(a netip.Addr, now int64) (yes bool) {
	limit := int64(g.cfg.MaxHandshakesPerSecond)
	if limit == 0 || g.Exempt(a) {
		return true
	}
	g.records.with(nameOf(a), now, func(r *record) {
		yes = spend(&r.paid, now, int64(time.Second)/limit, int64(g.cfg.HandshakeBurst))
	})
	return yes
}

// spend books one unit that costs so many nanoseconds, where no more than burst of
// them are owed.
func spend(paid *int64, now, cost, burst int64) (ok bool) {
	*paid, ok = rate.Book(*paid, now, cost, cost*burst)
	return ok
}

// Failed counts that a client of the address has failed to say who it is. One too
// many and the address is banned, each time for twice as long.
func (g *Guard) Failed(a netip.Addr) {
	limit := int64(g.cfg.MaxFailuresPerMinute)
	if limit == 0 || g.Exempt(a) {
		return
	}
	now := int64(g.now())
	g.records.with(nameOf(a), now, func(r *record) {
		if r.banned > now || spend(&r.failed, now, int64(time.Minute)/limit, limit) {
			return
		}
		if r.until <= now {
			r.level = 0
		}
		r.failed = 0
		r.banned = now + int64(g.banFor(r.level))
		r.until = r.banned + int64(g.cfg.MaxBan)
		r.level = min(r.level+1, math.MaxUint8-1)
		g.bans.Add(1)
	})
}

// banFor returns how long a ban lasts after so many before.
func (g *Guard) banFor(level uint8) time.Duration {
	d := g.cfg.Ban
	for range level {
		if d >= g.cfg.MaxBan/2 {
			return g.cfg.MaxBan
		}
		d *= 2
	}
	return min(d, g.cfg.MaxBan)
}

// bannedFor returns how long the address is still banned, 0 if it is not.
func (g *Guard) bannedFor(a netip.Addr, now time.Duration) (left time.Duration) {
	if g.records == nil || !a.IsValid() {
		return 0
	}
	g.records.peek(nameOf(a), func(r *record) { left = max(0, time.Duration(r.banned)-now) })
	return left
}

func banned(left time.Duration) *Refusal {
	return &Refusal{Banned, http.StatusTooManyRequests, "too many attempts from this address have failed to prove who it is", left}
}

// Pardon ends the ban of an address; false where there is none.
func (g *Guard) Pardon(a netip.Addr) (found bool) {
	if g.records == nil {
		return false
	}
	now := int64(g.now())
	g.records.peek(nameOf(a), func(r *record) {
		found = r.banned > now
		r.banned, r.until, r.level, r.failed = 0, 0, 0, 0
	})
	return found
}

// Ban is an address that is banned.
type Ban struct {
	Address netip.Addr // of IPv6 the first of its network of 64 bits
	Left    time.Duration
}

// Bans returns the addresses that are banned now, at most so many.
func (g *Guard) Bans(most int) (list []Ban) {
	if g.records == nil {
		return nil
	}
	now := int64(g.now())
	g.records.each(func(r *record) {
		if r.banned > now && len(list) < most {
			list = append(list, Ban{netip.AddrFrom16(r.addr).Unmap(), time.Duration(r.banned - now)})
		}
	})
	return list
}

// Take counts a place more that a client of the address takes up; false where it
// has as many as it may. Every yes is followed by one Release.
func (g *Guard) Take(a netip.Addr, p Place) bool {
	return g.limits[p] == 0 || g.Exempt(a) || g.places.take(nameOf(a), p, g.limits[p])
}

// Release gives a place back.
func (g *Guard) Release(a netip.Addr, p Place) {
	if g.limits[p] > 0 && !g.Exempt(a) {
		g.places.release(nameOf(a), p)
	}
}

// Stats are the figures of a guard.
type Stats struct {
	Shadowed uint64         // clients that shadow rules would have refused
	Bans     uint64         // bans so far
	Tracked  int            // addresses that are remembered
	Evicted  uint64         // addresses that were forgotten too early
	Ranges   [listKinds]int // of the rules, by List
}

// Stats returns the figures of all hubs together.
func (g *Guard) Stats() Stats {
	s := Stats{Shadowed: g.rules.Shadowed(), Bans: g.bans.Load()}
	if g.records != nil {
		s.Tracked, s.Evicted = int(g.records.used.Load()), uint64(g.records.evicted.Load())
	}
	add := func(set *Set) {
		for l := range listKinds {
			s.Ranges[l] += set.Size(l)
		}
	}
	add(g.rules)
	for _, set := range *g.hubs.Load() {
		add(set)
		s.Shadowed += set.Shadowed()
	}
	return s
}

func (g *Guard) now() time.Duration { return time.Since(g.began) }
