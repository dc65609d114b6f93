package hub

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"sluice/hub/wire"
)

// Group state: what members say of themselves in a group. It lasts as long as the
// membership, and members who have asked are told all of it and then what changes.
// Where presence is kept, every member is in it, with a state or without one.

// states is that of one group. Its lock is held to look or to change something, and
// never while something is sent.
type states struct {
	mu      sync.Mutex
	items   map[connectionID]*wire.StateItem // guarded by mu; items do not change
	bytes   int                              // guarded by mu: of all keys and values
	version uint64                           // guarded by mu: the number of changes

	speakers tongues    // of all who watch
	watchers []watchers // one for each loop
}

// watchers is those on one loop who want to hear of changes.
type watchers struct {
	list []watcher // owned by the loop; membership.watch is the index and one more

	count atomic.Int32 // len(list), for those who change something on other loops
	stale atomic.Bool  // they have missed something and are to be told all again
}

type watcher struct {
	session *Session

	// since is the number of the last change in what it was told at first. A
	// later one has seen it in the counts, by the same reasoning as in group.add.
	since uint64

	members bool // it wants to hear of members without a state too
}

// maxStateBytes bounds the keys and values of all states of a group: whoever asks
// gets them in one message.
const maxStateBytes = 256 << 10

func newStates(loops int) *states {
	return &states{items: make(map[connectionID]*wire.StateItem), watchers: make([]watchers, loops)}
}

// keepStates returns the states of the group, from now on kept.
func (g *group) keepStates() *states {
	if st := g.states.Load(); st != nil {
		return st
	}
	g.states.CompareAndSwap(nil, newStates(len(g.rosters)))
	return g.states.Load()
}

// change replaces the item of a session, or takes it away where that is nil. It
// returns the one before and the number of the change; full, where there is no
// room, and then nothing changes.
func (st *states) change(s *Session, item *wire.StateItem, full refusal) (before *wire.StateItem, number uint64, r refusal) {
	st.mu.Lock()
	defer st.mu.Unlock()
	before = st.items[s.id]
	more := sizeOf(item) - sizeOf(before)
	if item != nil && before == nil && len(st.items) >= s.hub.policy.MaxGroupStates ||
		more > 0 && st.bytes+more > maxStateBytes || !s.hub.node.holdState(more) {
		return nil, 0, full
	}
	st.bytes += more
	if item != nil {
		st.items[s.id] = item
	} else {
		delete(st.items, s.id)
	}
	st.version++
	return before, st.version, accepted
}

// sizeOf returns the bytes of an item that a client has chosen.
func sizeOf(item *wire.StateItem) (n int) {
	if item == nil {
		return 0
	}
	for _, p := range item.State {
		n += len(p.Key) + len(p.Value)
	}
	return n
}

// holdState books so many bytes of state more, or less, unless that is too much for
// the node.
func (n *Node) holdState(more int) bool {
	if n.stateBytes.Add(int64(more)) > int64(n.cfg.MaxNodeStateBytes) && more > 0 {
		n.stateBytes.Add(-int64(more))
		return false
	}
	return true
}

// StateBytes returns the bytes of the states that clients have set in groups. Any
// goroutine.
func (n *Node) StateBytes() int64 { return n.stateBytes.Load() }

// all returns the items, those of members without a state only if they are wanted,
// and the number of the last change in them.
func (st *states) all(members bool) (items []wire.StateItem, number uint64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	items = make([]wire.StateItem, 0, len(st.items))
	for _, item := range st.items {
		if members || item.HasState {
			items = append(items, *item)
		}
	}
	return items, st.version
}

// stateItem returns what is kept of the session from now on.
func (s *Session) stateItem() *wire.StateItem {
	return &wire.StateItem{ConnectionID: s.ID(), UserID: s.user, UpdatedAt: s.hub.node.now().UnixMilli()}
}

// setState replaces the client's state in a group, or takes it away.
func (s *Session) setState(req *wire.Request) refusal {
	i, r := s.memberOf(req.Group)
	if r != accepted {
		return r
	}
	item := s.stateItem()
	item.State, item.HasState = clonePairs(req.State), req.HasState
	if r := s.mayPublish(req.Group, sizeOf(item)); r != accepted {
		return r
	}
	g := s.memberships[i].group
	st, kept := g.keepStates(), item
	if !item.HasState && !g.policy().presence {
		kept = nil
	}
	before, number, r := st.change(s, kept, statesFull)
	if r != accepted || kept == nil && before == nil {
		return r
	}
	(&stateChange{group: g, number: number}).with(s.lane, item, item).tell(s.lane)
	return accepted
}

// memberOf returns the index of the session's membership in a group.
func (s *Session) memberOf(group []byte) (int, refusal) {
	if g, ok := s.hub.groups.Load(string(group)); ok {
		if i := s.membership(g); i >= 0 {
			return i, accepted
		}
	}
	return -1, notMember
}

// clonePairs copies pairs into memory of their own.
func clonePairs(pairs []wire.Pair) []wire.Pair {
	if len(pairs) == 0 {
		return nil
	}
	size := 0
	for _, p := range pairs {
		size += len(p.Key) + len(p.Value)
	}
	text, copies := make([]byte, 0, size), make([]wire.Pair, len(pairs))
	add := func(b []byte) []byte {
		start := len(text)
		text = append(text, b...)
		return text[start:len(text):len(text)]
	}
	for i, p := range pairs {
		copies[i] = wire.Pair{Key: add(p.Key), Value: add(p.Value)}
	}
	return copies
}

// arrive makes a session that joins known where presence is kept. The change is
// nil where it is not.
func (g *group) arrive(s *Session) (*stateChange, refusal) {
	if !g.policy().presence {
		return nil, accepted
	}
	item := s.stateItem()
	_, number, r := g.states.Load().change(s, item, groupFull)
	if r != accepted {
		return nil, r
	}
	joined := *item
	joined.Event = wire.MemberJoined
	return (&stateChange{group: g, number: number}).with(s.lane, nil, &joined), accepted
}

// depart forgets a session that has left the group, and tells those who watch.
func (g *group) depart(s *Session) {
	st := g.states.Load()
	if st == nil {
		return
	}
	before, number, _ := st.change(s, nil, accepted)
	if before == nil {
		return
	}
	gone := s.stateItem()
	left, plain := *gone, gone
	left.Event = wire.MemberLeft
	if !before.HasState {
		plain = nil
	}
	(&stateChange{group: g, number: number}).with(s.lane, plain, &left).tell(s.lane)
}

// watch has the client told the states of a group, all of them now and from now on
// each change. Asking again is answered with all of them again.
func (s *Session) watch(req *wire.Request) refusal {
	i, r := s.memberOf(req.Group)
	if r != accepted {
		return r
	}
	m := &s.memberships[i]
	if req.Presence && !m.group.policy().presence {
		return noPresence
	}
	st := m.group.keepStates()
	w := &st.watchers[s.lane.index]
	if m.watch == 0 {
		w.list = append(w.list, watcher{session: s})
		m.watch = int32(len(w.list))
		st.speakers[s.grammar].Add(1)
		w.count.Add(1)
	}
	w.list[m.watch-1].members = req.Presence
	m.group.show(&w.list[m.watch-1])
	return accepted
}

// show tells a watcher all there is.
func (g *group) show(w *watcher) {
	all := wire.GroupState{Group: g.name, Snapshot: true}
	all.Items, w.since = g.states.Load().all(w.members)
	s := w.session
	s.reply(s.language().AppendGroupState(s.lane.blank(), &all))
}

// showAgain tells the client the states of all groups that it watches: it has been
// away.
func (s *Session) showAgain() {
	for _, m := range s.memberships {
		if m.watch > 0 {
			m.group.show(&m.group.states.Load().watchers[s.lane.index].list[m.watch-1])
		}
	}
}

// unwatchGroup ends what watch has begun. It succeeds as well where there is
// nothing to end.
func (s *Session) unwatchGroup(req *wire.Request) refusal {
	if i, r := s.memberOf(req.Group); r == accepted {
		s.memberships[i].group.unwatch(s, i)
	}
	return accepted
}

// unwatch takes the session with that membership from the list of those who watch,
// if it is there; the last of the list moves to its place.
func (g *group) unwatch(s *Session, membership int) {
	m := &s.memberships[membership]
	if m.watch == 0 {
		return
	}
	st := g.states.Load()
	w := &st.watchers[s.lane.index]
	last := len(w.list) - 1
	moved := w.list[last]
	moved.session.memberships[moved.session.membership(g)].watch = m.watch
	w.list[m.watch-1] = moved
	w.list[last] = watcher{}
	w.list = shrink(w.list[:last])
	m.watch = 0
	w.count.Add(-1)
	st.speakers[s.grammar].Add(-1)
}

// stateChange is one change on its way to those who watch. It does not change once
// it is told, and is shared by the tasks of all loops.
type stateChange struct {
	group  *group
	number uint64

	// plain is for those who watch the states, full for those who want to hear
	// of all members.
	plain, full translations
}

// with writes down what those who watch are told; a nil item is not told. Nothing
// is written where nobody watches, and the result is nil.
func (c *stateChange) with(l *lane, plain, full *wire.StateItem) *stateChange {
	spoken := c.group.states.Load().speakers.spoken()
	if spoken == 0 {
		return nil
	}
	c.plain.makeState(l, spoken, c.group.name, plain)
	if c.full = c.plain; plain != full {
		c.full.makeState(l, spoken, c.group.name, full)
	}
	return c
}

func (t *translations) makeState(l *lane, spoken grammarSet, group string, item *wire.StateItem) {
	if item == nil {
		return
	}
	update := &wire.GroupState{Group: group, Items: []wire.StateItem{*item}}
	for ; spoken != 0; spoken = spoken.rest() {
		i := spoken.first()
		g := l.node.grammars[i]
		t[i] = l.seal(g.AppendGroupState(l.blank(), update), g.Binary(nil))
	}
}

// tell gives the change to all who watch, at once to those on this loop. A loop
// that does not take it is told all again when it can take something.
func (c *stateChange) tell(l *lane) {
	if c == nil {
		return
	}
	h, st := c.group.hub, c.group.states.Load()
	for i := range st.watchers {
		w, to := &st.watchers[i], &h.node.lanes[i]
		switch {
		case w.count.Load() == 0:
		case to == l:
			c.give(w)
		case !to.loop.Post(chore(func() { c.give(w) })) && w.stale.CompareAndSwap(false, true):
			h.insist(to, chore(func() { c.group.catchUp(w) }))
		}
	}
}

// give sends the change to those on one loop, where it runs.
func (c *stateChange) give(w *watchers) {
	for i := range w.list {
		to := &w.list[i]
		m := c.plain[to.session.grammar]
		if to.members {
			m = c.full[to.session.grammar]
		}
		if m != nil && c.number > to.since {
			to.session.send(m)
		}
	}
}

// catchUp tells those on one loop all there is, because they have missed a change.
func (g *group) catchUp(w *watchers) {
	w.stale.Store(false)
	for i := range w.list {
		g.show(&w.list[i])
	}
}

// Presence returns the states of a group, by connection id: of all its members
// where presence is kept, else of those who have set one. Any goroutine.
func (h *Hub) Presence(group string) []wire.StateItem {
	g, ok := h.groups.Load(group)
	if !ok || g.states.Load() == nil {
		return nil
	}
	items, _ := g.states.Load().all(true)
	slices.SortFunc(items, func(a, b wire.StateItem) int { return cmp.Compare(a.ConnectionID, b.ConnectionID) })
	return items
}
