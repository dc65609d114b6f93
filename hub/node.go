// Package hub is the middle of the node: tenants (hubs), sessions, users, groups,
// permissions and delivery. It owns what a client has joined and who gets which
// message. It does not own sockets, frames on the wire, heartbeats, outbound
// queues or the checking of tokens: a client is a [Link], an event loop is a
// [Loop], who the client is comes in as an [auth.Identity], and what it says is
// read and written by the grammars of hub/wire.
//
// Goroutines: a session belongs to the loop it was opened on. Open, OpenRaw and
// the methods of Session are called on that loop and never at the same time. What
// back ends do ([Hub.SendToGroup] and so on) and what is asked about a hub may be
// called from any goroutine but a loop: some of it waits for loops. The package
// starts no goroutine, and nothing blocks on a loop; the only locks are those of
// the maps from names and ids to hubs, connections, users and groups, held for a
// few instructions when something comes, goes or is looked up.
//
// DESIGN.md tells how a message travels and what is promised about its order.
package hub

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sluice/auth"
	"sluice/engine/wheel"
	"sluice/frame"
	"sluice/hub/wire"
	"sluice/internal/metrics"
	"sluice/shard"
)

// Node holds all hubs of the process. Make one with [New].
type Node struct {
	// static after New
	cfg       Config
	lanes     []lane // one per loop
	grammars  []wire.Grammar
	sequenced grammarSet
	pongs     []*frame.Message // the answer to ping in each grammar, made once
	started   time.Time
	now       func() time.Time
	fanOut    *metrics.Recorder // of publications from outside the loops; nil when nobody asked for it
	verifier  func(hub string) Verifier
	handler   Handler

	encoders     encoders
	reconnection *auth.Reconnection
	unacked      atomic.Int64 // bytes that reliable sessions hold
	stateBytes   atomic.Int64 // bytes of the states in groups
	pasts        historyPool
	late         late

	hubs *shard.Map[string, *Hub] // by canonical name; hubs are never removed

	mu sync.Mutex // held while a hub is created, so that MaxHubs is exact
}

// New returns a node whose sessions live on that many event loops. The
// configuration must have passed [Config.Validate].
func New(cfg Config, loops int) *Node {
	cfg = cfg.WithDefaults()
	n := &Node{
		cfg:   cfg,
		lanes: make([]lane, loops),
		hubs:  shard.New[string, *Hub](hubStripes),
		now:   time.Now,

		reconnection: auth.NewReconnection(),
	}
	n.started = n.now()
	for i := range n.lanes {
		l := &n.lanes[i]
		l.index, l.node = i, n
		l.wheel = wheel.New[extra](wheelSlots, n.tickAt(n.started))
	}
	for _, g := range grammars() {
		n.speak(g)
	}
	n.pasts.limit = int64(cfg.MaxNodeHistoryBytes)
	for name, tenant := range cfg.Hubs {
		name = auth.CanonicalHub(name)
		n.hubs.Store(name, newHub(n, name, newPolicy(tenant)))
	}
	n.cfg.Hubs = nil // it holds keys
	return n
}

// Measure has the size of every fan-out recorded. Call it before the first
// session is opened.
func (n *Node) Measure(fanOut *metrics.Histogram) {
	for i := range n.lanes {
		n.lanes[i].fanOut = fanOut.Recorder()
	}
	n.fanOut = fanOut.Recorder()
}

// after returns the time after that long, in nanoseconds since 1970; 0 for 0.
func (n *Node) after(d time.Duration) int64 {
	if d == 0 {
		return 0
	}
	return n.now().Add(d).UnixNano()
}

// UnackedBytes returns the bytes that reliable sessions hold for their clients.
// Any goroutine.
func (n *Node) UnackedBytes() int64 { return n.unacked.Load() }

// HistoryBytes returns the bytes of the histories of all groups, and
// HistoryEvicted the messages in them that were dropped for others. Any goroutine.
func (n *Node) HistoryBytes() int64    { return n.pasts.bytes.Load() }
func (n *Node) HistoryEvicted() uint64 { return n.pasts.evicted.Load() }

// Verify has the tokens of clients that stay connected judged by what of returns
// for their hub. Without it, such tokens are refused. Call it before the first
// session is opened.
func (n *Node) Verify(of func(hub string) Verifier) { n.verifier = of }

// Hub returns the hub of that name, in any letter case. An undeclared hub is
// created when the configuration allows it; false means that there is no such
// hub and there will be none: the name is not valid, not declared, or the node
// is at MaxHubs. A hub lasts as long as the node, so ask for one only after the
// client's token for it has been verified.
func (n *Node) Hub(name string) (*Hub, bool) {
	if !auth.ValidHub(name) {
		return nil, false
	}
	name = auth.CanonicalHub(name)
	if h, ok := n.hubs.Load(name); ok || !n.cfg.CreateOnFirstUse {
		return h, ok
	}
	return n.create(name)
}

// Known returns the hub of that name, in any letter case, if there is one
// already.
func (n *Node) Known(name string) (*Hub, bool) { return n.hubs.Load(auth.CanonicalHub(name)) }

func (n *Node) create(name string) (*Hub, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h, ok := n.hubs.Load(name); ok {
		return h, true
	}
	if n.hubs.Len() >= n.cfg.MaxHubs {
		return nil, false
	}
	// Cloned: the caller's string may be a piece of a request.
	name = strings.Clone(name)
	h := newHub(n, name, newPolicy(n.cfg.Defaults))
	n.hubs.Store(name, h)
	return h, true
}

// Stats returns a snapshot of every hub, by name.
func (n *Node) Stats() []Stats {
	all := make([]Stats, 0, n.hubs.Len())
	n.hubs.Range(func(_ string, h *Hub) bool {
		all = append(all, h.Stats())
		return true
	})
	slices.SortFunc(all, func(a, b Stats) int { return strings.Compare(a.Hub, b.Hub) })
	return all
}
