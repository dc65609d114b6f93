package node

import (
	"context"

	"sluice/auth"
	"sluice/auth/jwks"
	"sluice/internal/metrics"
)

// trustIssuers gives the identity providers sources for their keys, one for all
// hubs that share a provider.
func (n *Node) trustIssuers(tenants *auth.Tenants, m *metrics.Node) {
	sources := make(map[jwks.Source]*jwks.Set)
	tenants.Trust(func(i auth.Issuer) auth.KeySource {
		source := jwks.Source{Issuer: i.Issuer, URL: i.JWKSURL}
		if sources[source] == nil {
			sources[source] = jwks.New(source, n.observeFetches(i.Issuer, m))
			n.issuers = append(n.issuers, sources[source])
		}
		return sources[source]
	})
}

// observeFetches counts them, and logs when they begin to fail and when they are
// good again.
func (n *Node) observeFetches(issuer string, m *metrics.Node) func(error) {
	failing := false
	return func(err error) {
		switch {
		case err != nil:
			m.IssuerFetches.With("failed").Inc()
			if !failing {
				n.log.Error("cannot fetch the keys of an issuer; those before stay in force for a day", "issuer", issuer, "error", err)
			}
		case failing:
			n.log.Info("the keys of an issuer are fetched again", "issuer", issuer)
			fallthrough
		default:
			m.IssuerFetches.With("ok").Inc()
		}
		failing = err != nil
	}
}

// fetchKeys keeps the keys of the issuers fresh until the node stops.
func (n *Node) fetchKeys() {
	if len(n.issuers) == 0 {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	for _, s := range n.issuers {
		n.watcher.Go(func() { s.Run(ctx) })
	}
	n.watcher.Go(func() {
		<-n.stopClock
		stop()
	})
}
