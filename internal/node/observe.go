package node

import (
	"sluice/hub"
	"sluice/internal/build"
	"sluice/internal/metrics"
)

// observe fills in what the parts keep for themselves, at each scrape.
func (n *Node) observe(m *metrics.Node) {
	b := build.Current()
	m.SetBuild(b.Version, b.Commit, b.Go)
	m.OnScrape(func() {
		m.Connections.Set(float64(n.engine.Connections()))
		m.OutboundQueue.Set(float64(n.engine.QueuedBytes()))
		observeHubs(m, n.hubs.Stats())
	})
}

// observeHubs adds up the hubs. Of what they lost, only what no connection has
// counted already is taken: a copy that a full queue refused is the engine's.
func observeHubs(m *metrics.Node, hubs []hub.Stats) {
	var sum hub.Stats
	dropped, refused := map[string]uint64{}, map[string]uint64{}
	for _, h := range hubs {
		sum.Sessions += h.Sessions
		sum.Groups += h.Groups
		sum.Published += h.Published
		sum.Delivered += h.Delivered
		for _, c := range h.Dropped {
			dropped[c.Label] += c.N
		}
		for _, c := range h.Refused {
			refused[c.Label] += c.N
		}
	}
	m.Hubs.Set(float64(len(hubs)))
	m.Sessions.Set(float64(sum.Sessions))
	m.Groups.Set(float64(sum.Groups))
	m.GroupPublished.Set(sum.Published)
	m.GroupDelivered.Set(sum.Delivered)
	m.DroppedMessages.With(hub.LoopOverloaded).Set(dropped[hub.LoopOverloaded])
	for label, count := range refused {
		m.RequestRefusals.With(label).Set(count)
	}
}
