package node

import (
	"strconv"

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
		m.HandshakesWaiting.Set(float64(n.engine.WaitingHandshakes()))
		m.TLSConnections.Set(float64(n.engine.TLSConnections()))
		m.HTTPConnections.Set(float64(n.engine.HTTPConnections()))
		m.OutboundQueue.Set(float64(n.engine.QueuedBytes()))
		m.SlowConnections.Set(float64(n.engine.SlowConnections()))
		m.DrainRemaining.Set(float64(n.engine.Remaining()))
		m.LogLinesDropped.Set(n.log.Dropped())
		n.observeLoops(m)
		n.observeAddresses(m)
		m.Readiness.Clear()
		m.Readiness.With(n.readiness()).Set(1)
		n.observeOverload(m)
		m.UnackedBytes.Set(float64(n.hubs.UnackedBytes()))
		m.StateBytes.Set(float64(n.hubs.StateBytes()))
		m.HistoryBytes.Set(float64(n.hubs.HistoryBytes()))
		m.HistoryEvicted.Set(n.hubs.HistoryEvicted())
		observeHubs(m, n.hubs.Stats(), n.populations())
	})
}

func (n *Node) observeLoops(m *metrics.Node) {
	for _, l := range n.engine.Loops() {
		index := strconv.Itoa(l.Index())
		m.LoopConnections.With(index).Set(float64(l.Connections()))
		m.LoopLastLag.With(index).Set(l.Lag().Seconds())
	}
}

// readiness returns the state as the metrics name it.
func (n *Node) readiness() string {
	if ok, why := n.ready(); !ok {
		return why
	}
	return "ready"
}

// websocket is how clients are connected that come by no other transport.
const websocket = "websocket"

// observeHubs adds up the hubs. Of what they lost, only what no connection has
// counted already is taken: a copy that a full queue refused is the engine's.
func observeHubs(m *metrics.Node, hubs []hub.Stats, others []population) {
	var sum hub.Stats
	m.HubConnections.Clear()
	m.HubQueue.Clear()
	dropped, refused := map[string]uint64{}, map[string]uint64{}
	for _, h := range hubs {
		plain := int(h.Sessions)
		for _, p := range others {
			if p.hub == h.Hub {
				m.HubConnections.With(h.Label, p.transport).Add(float64(p.sessions))
				plain -= p.sessions
			}
		}
		m.HubConnections.With(h.Label, websocket).Add(float64(max(0, plain)))
		m.HubQueue.With(h.Label).Add(float64(h.Queued))
		sum.Groups += h.Groups
		sum.Published += h.Published
		sum.Away += h.Away
		sum.Resumed += h.Resumed
		sum.Delivered += h.Delivered
		sum.Told += h.Told
		for _, c := range h.Dropped {
			dropped[c.Label] += c.N
		}
		for _, c := range h.Refused {
			refused[c.Label] += c.N
		}
	}
	m.Hubs.Set(float64(len(hubs)))
	m.Groups.Set(float64(sum.Groups))
	m.SessionsAway.Set(float64(sum.Away))
	m.SessionsResumed.Set(sum.Resumed)
	m.GroupPublished.Set(sum.Published)
	m.GroupDelivered.Set(sum.Delivered)
	m.ServerDelivered.Set(sum.Told)
	for _, reason := range []string{hub.LoopOverloaded, hub.Expired} {
		m.DroppedMessages.With(reason).Set(dropped[reason])
	}
	for label, count := range refused {
		m.RequestRefusals.With(label).Set(count)
	}
}
