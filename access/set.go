package access

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gaissmai/bart"
)

// maxAdded bounds the ranges that the API adds to one list.
const maxAdded = 100_000

// Set is the rules in force, for all hubs or for one. Asking takes no lock.
type Set struct {
	tables   atomic.Pointer[tables]
	shadowed atomic.Uint64

	// static
	sources [listKinds]source

	mu     sync.Mutex // one change at a time
	stamps [listKinds]stamp
	files  [listKinds][]netip.Prefix            // guarded by mu
	added  [listKinds]map[netip.Prefix]struct{} // guarded by mu; by the API
}

// tables are the lists compiled; nil for an empty one.
type tables [listKinds]*bart.Lite

// NewSet compiles rules. The error names what is wrong with them or their files.
func NewSet(r Rules) (*Set, error) {
	s := &Set{sources: r.sources()}
	for i := range s.added {
		s.added[i] = make(map[netip.Prefix]struct{})
	}
	var errs []error
	r.Validate(func(key, problem string) { errs = append(errs, fmt.Errorf("%s: %s", key, problem)) })
	if errs != nil {
		return nil, errors.Join(errs...)
	}
	if _, err := s.Reload(); err != nil {
		return nil, err
	}
	return s, nil
}

// Reload reads those files that have changed. After an error, which names the file,
// what stood there before stays in force, and it is tried again at the next call.
func (s *Set) Reload() (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, src := range s.sources {
		now, serr := stampOf(src.file)
		if serr != nil {
			err = errors.Join(err, serr)
			continue
		}
		if now == s.stamps[i] {
			continue
		}
		list, rerr := readRanges(src.file)
		if rerr != nil {
			err = errors.Join(err, rerr)
			continue
		}
		s.files[i], s.stamps[i] = list, now
		changed = true
	}
	if changed || s.tables.Load() == nil {
		s.compileLocked()
	}
	return changed, err
}

// compileLocked puts the lists in force as they are now.
func (s *Set) compileLocked() {
	t := new(tables)
	for i, src := range s.sources {
		lite := new(bart.Lite)
		for _, text := range src.ranges {
			p, _ := ParseRange(text) // Validate has seen it
			lite.Insert(p)
		}
		for _, p := range s.files[i] {
			lite.Insert(p)
		}
		for p := range s.added[i] {
			lite.Insert(p)
		}
		if lite.Size() > 0 || src.closes(List(i)) {
			t[i] = lite
		}
	}
	s.tables.Store(t)
}

// ErrFull means that a list has as many ranges from the API as it may.
var ErrFull = fmt.Errorf("the list has %d ranges that were added already", maxAdded)

// Add puts a range into a list until the node stops; added is false where it was
// added before.
func (s *Set) Add(l List, p netip.Prefix) (added bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.added[l][p]; ok {
		return false, nil
	}
	if len(s.added[l]) >= maxAdded {
		return false, ErrFull
	}
	s.added[l][p] = struct{}{}
	s.changeLocked(l, func(now *bart.Lite) *bart.Lite { return now.InsertPersist(p) })
	return true, nil
}

// changeLocked puts a list in force that differs from the one before by one range:
// they share the rest.
func (s *Set) changeLocked(l List, change func(*bart.Lite) *bart.Lite) {
	t := *s.tables.Load()
	if t[l] == nil {
		t[l] = new(bart.Lite)
	}
	if t[l] = change(t[l]); t[l].Size() == 0 && !s.sources[l].closes(l) {
		t[l] = nil
	}
	s.tables.Store(&t)
}

// Remove takes a range out again that Add has put into a list; false where there
// is none. What the configuration and the files have stays.
func (s *Set) Remove(l List, p netip.Prefix) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.added[l][p]; !ok {
		return false
	}
	delete(s.added[l], p)
	if !s.hasLocked(l, p) {
		s.changeLocked(l, func(now *bart.Lite) *bart.Lite { return now.DeletePersist(p) })
	}
	return true
}

// hasLocked reports whether the configuration or a file has a range.
func (s *Set) hasLocked(l List, p netip.Prefix) bool {
	return slices.Contains(s.files[l], p) || slices.ContainsFunc(s.sources[l].ranges, func(text string) bool {
		own, _ := ParseRange(text)
		return own == p
	})
}

// Added returns the ranges that Add has put into a list, in order.
func (s *Set) Added(l List) []netip.Prefix {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]netip.Prefix, 0, len(s.added[l]))
	for p := range s.added[l] {
		list = append(list, p)
	}
	slices.SortFunc(list, netip.Prefix.Compare)
	return list
}

// Size returns the ranges of a list, wherever they come from.
func (s *Set) Size(l List) int {
	if t := s.tables.Load()[l]; t != nil {
		return t.Size()
	}
	return 0
}

// Shadowed returns how many clients the shadow rules would have refused.
func (s *Set) Shadowed() uint64 { return s.shadowed.Load() }

// Allows tells whether clients of an address may connect. It does not allocate.
func (s *Set) Allows(a netip.Addr) bool {
	return !s.tables.Load().refuse(Allow, a.Unmap().WithZone(""))
}

// shadow counts a client that the shadow rules would refuse.
func (s *Set) shadow(a netip.Addr) {
	if s.tables.Load().refuse(ShadowAllow, a.Unmap().WithZone("")) {
		s.shadowed.Add(1)
	}
}

// refuse asks an allow list and the deny list that follows it.
func (t *tables) refuse(allow List, a netip.Addr) bool {
	deny := allow + 1
	return t[deny] != nil && t[deny].Contains(a) || t[allow] != nil && !t[allow].Contains(a)
}

// Why tells which rule decides about an address: the range and the list that it is
// in. Where no range fits the list is the allow list that the address is missing
// from, or, with p invalid and allowed, nothing speaks against it. Shadow rules are
// asked for with shadow.
func (s *Set) Why(a netip.Addr, shadow bool) (p netip.Prefix, l List, allowed bool) {
	t := s.tables.Load()
	a = a.Unmap().WithZone("")
	allow, deny := Allow, Deny
	if shadow {
		allow, deny = ShadowAllow, ShadowDeny
	}
	whole := netip.PrefixFrom(a, a.BitLen())
	if t[deny] != nil {
		if p, ok := t[deny].LookupPrefixLPM(whole); ok {
			return p, deny, false
		}
	}
	if t[allow] == nil {
		return netip.Prefix{}, allow, true
	}
	p, ok := t[allow].LookupPrefixLPM(whole)
	return p, allow, ok
}
