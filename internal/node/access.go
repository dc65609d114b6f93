package node

import (
	"net/http"
	"time"

	"sluice/access"
	"sluice/api"
	"sluice/auth"
	"sluice/engine"
	"sluice/internal/metrics"
)

// watchRules sees to it that changed files of address rules are used.
func (n *Node) watchRules(m *metrics.Node) {
	failing := false
	n.every(n.cfg.Access.ReloadInterval, func() {
		changed, err := n.guard.Reload()
		switch {
		case err != nil:
			m.AddressRuleReloads.With("failed").Inc()
			if !failing {
				n.log.Error("cannot use the changed address rules; those before stay in force", "error", err)
			}
		case changed:
			m.AddressRuleReloads.With("ok").Inc()
			n.log.Info("address rules changed", "deny", n.guard.Stats().Ranges[access.Deny])
		}
		failing = err != nil
	})
}

// watchFailures counts the callers of the API that do not prove who they are, and
// returns what is wrong with this one.
func (n *Node) watchFailures(r *http.Request, err error) error {
	if auth.IsFailure(err) {
		n.guard.Failed(engine.AddressOf(r))
	}
	return err
}

// welcome answers clients on the client port whose address is turned away, as far
// as it was not known before their request, and tells refused of them.
func (n *Node) welcome(w http.ResponseWriter, r *http.Request, refused func(reason string)) bool {
	judged := n.guard.Judge(engine.AddressOf(r))
	if judged == nil {
		return true
	}
	refusal := engine.TurnedAway(judged)
	refused(refusal.Label)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Connection", "close")
	refusal.Serve(w)
	return false
}

// enter counts a client that comes over HTTP among the connections of its address,
// until it leaves.
func (n *Node) enter(r *http.Request) (leave func(), _ *engine.Refusal) {
	a := engine.AddressOf(r)
	if !n.guard.Take(a, access.ConnectionPlace) {
		return nil, engine.TurnedAway(access.TooMany(access.Connections))
	}
	return func() { n.guard.Release(a, access.ConnectionPlace) }, nil
}

// observeAddresses fills in what the guard keeps for itself.
func (n *Node) observeAddresses(m *metrics.Node) {
	s := n.guard.Stats()
	for l, size := range s.Ranges {
		m.AddressRules.With(access.List(l).String()).Set(float64(size))
	}
	m.AddressShadowed.Set(s.Shadowed)
	m.AddressBans.Set(s.Bans)
	m.AddressesTracked.Set(float64(s.Tracked))
	m.AddressesEvicted.Set(s.Evicted)
}

// nodeCalls returns the HTTP API about the node as a whole. It takes the keys of all
// hubs: who has those can let anybody in anywhere, but for hubs with their own.
func (n *Node) nodeCalls(tenants *auth.Tenants, m *metrics.Node) http.Handler {
	return api.NewNode(api.Node{
		Authorize: func(r *http.Request) error {
			return n.watchFailures(r, tenants.Verifier("").VerifyCall(r, time.Now()))
		},
		Guard:   n.guard,
		Observe: observeCalls(m),
	})
}
