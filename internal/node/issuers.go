package node

import (
	"context"
	"sync"
	"time"

	"sluice/auth"
	"sluice/auth/introspect"
	"sluice/auth/jwks"
	"sluice/internal/logs"
	"sluice/internal/metrics"
)

// issuers are the identity providers as a node meets them: each is asked once for
// all hubs that share it.
type issuers struct {
	log     *logs.Log
	metrics *metrics.Node

	keys  map[jwks.Source]*jwks.Set
	asked map[asked]*introspect.Client
}

// asked is a provider that is asked about tokens.
type asked struct {
	issuer string
	how    auth.Introspection
}

// trustIssuers gives the identity providers sources for their keys, and clients that
// ask them about tokens.
func (n *Node) trustIssuers(tenants *auth.Tenants, m *metrics.Node) {
	n.issuers = issuers{n.log, m, make(map[jwks.Source]*jwks.Set), make(map[asked]*introspect.Client)}
	tenants.Trust(func(i auth.Issuer) auth.KeySource { return n.issuers.keysOf(i) })
	tenants.Ask(func(i auth.Issuer) auth.Introspector { return n.issuers.clientOf(i) })
	m.OnScrape(n.issuers.observe)
}

func (s *issuers) keysOf(i auth.Issuer) *jwks.Set {
	source := jwks.Source{Issuer: i.Issuer, URL: i.JWKSURL}
	if s.keys[source] == nil {
		health := s.health(i.Issuer, "cannot fetch the keys of an issuer; those before stay in force for a day",
			"the keys of an issuer are fetched again")
		s.keys[source] = jwks.New(source, func(err error) {
			result := "ok"
			if err != nil {
				result = "failed"
			}
			s.metrics.IssuerFetches.With(result).Inc()
			health(err)
		})
	}
	return s.keys[source]
}

func (s *issuers) clientOf(i auth.Issuer) *introspect.Client {
	key := asked{i.Issuer, i.Introspection}
	if s.asked[key] == nil {
		health := s.health(i.Issuer, "cannot ask an issuer about tokens; its clients must wait or come again",
			"an issuer can be asked about tokens again")
		s.asked[key] = introspect.New(i.Introspection, func(result introspect.Result, err error) {
			s.metrics.Introspections.With(string(result)).Inc()
			switch result {
			case introspect.BreakerOpen, introspect.QueueFull: // it was not asked
			default:
				health(err)
			}
		})
	}
	return s.asked[key]
}

// healthPause lies between two lines about one provider that begins to fail. Some
// refuse requests about tokens that are none of theirs, so clients could cause a line
// with each of them.
const healthPause = time.Minute

// health returns what logs when something begins to fail and when it is good again.
func (s *issuers) health(issuer, bad, good string) func(error) {
	var (
		mu   sync.Mutex
		said bool      // guarded by mu: the latest line is that it fails
		at   time.Time // guarded by mu: when that was written
	)
	return func(err error) {
		mu.Lock()
		begins := err != nil && !said && time.Since(at) >= healthPause
		ends := err == nil && said
		if begins {
			at = time.Now()
		}
		said = said && !ends || begins
		mu.Unlock()
		switch {
		case begins:
			s.log.Error(bad, "issuer", issuer, "error", err)
		case ends:
			s.log.Info(good, "issuer", issuer)
		}
	}
}

// observe copies the figures that the providers' clients keep, at each scrape. Two
// hubs may know one provider in two ways: the worse counts.
func (s *issuers) observe() {
	open := s.metrics.IssuerBreakerOpen
	open.Clear()
	for source, set := range s.keys {
		if g := open.With(source.Issuer, "keys"); set.BreakerOpen() {
			g.Set(1)
		}
	}
	entries := 0
	for key, client := range s.asked {
		if g := open.With(key.issuer, "introspection"); client.BreakerOpen() {
			g.Set(1)
		}
		entries += client.Entries()
	}
	s.metrics.IntrospectionCache.Set(float64(entries))
}

// meetIssuers keeps the keys of the issuers fresh, and asks them about tokens, until
// the node stops.
func (n *Node) meetIssuers() {
	if len(n.issuers.keys) == 0 && len(n.issuers.asked) == 0 {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	for _, s := range n.issuers.keys {
		n.watcher.Go(func() { s.Run(ctx) })
	}
	for _, c := range n.issuers.asked {
		n.watcher.Go(func() { c.Run(ctx) })
	}
	n.watcher.Go(func() {
		<-n.stopClock
		stop()
	})
}
