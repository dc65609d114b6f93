package hub

import (
	"sluice/frame"
	"sluice/hub/wire"
)

// publication is one message on its way to the members of a group. It does not
// change once it is made, and is small enough to be copied into one task per loop.
type publication struct {
	group  *group
	number uint64   // see member.since
	except *Session // the sender, when it does not want its own copy

	// messages holds the encoding for each grammar that had a speaker in the
	// group, nil for the others.
	messages [maxGrammars]*frame.Message
}

// publish gives m to every member of the group but except: at once to those on
// this loop, by one task to each other loop that has members. Runs on the lane's
// loop; m is only read, and not after publish has returned.
//
// Copies that cannot be handed to a loop are dropped and counted, and the result
// is overloaded; the other loops' members have got theirs.
func (l *lane) publish(g *group, m *wire.GroupMessage, except *Session) refusal {
	p := l.encode(g, m)
	p.except = except
	stamp := l.stamp()

	result, members := accepted, uint64(0)
	for i := range g.rosters {
		n := g.rosters[i].count.Load()
		members += uint64(n)
		if n == 0 || i == l.index {
			continue
		}
		other := &g.hub.node.lanes[i]
		if !other.loop.Post(p.task(other, stamp)) {
			l.tally(g.hub).dropped[loopOverloaded].Add(uint64(n))
			result = overloaded
		}
	}
	p.deliver(l)
	l.delivered(stamp)
	l.fanOut.Observe(members)
	return result
}

// encode numbers the publication and makes its messages, one for each grammar
// that is spoken in the group: once for all members on all loops. The number
// comes before the look at the counts; see group.add.
func (l *lane) encode(g *group, m *wire.GroupMessage) publication {
	p := publication{group: g, number: g.published.Add(1)}
	for i, grammar := range g.hub.node.grammars {
		if g.speakers[i].Load() > 0 {
			p.messages[i] = l.seal(grammar, grammar.AppendGroupMessage(l.blank(), m))
		}
	}
	return p
}

// deliver sends the publication to the members on the lane's loop, where it runs.
func (p *publication) deliver(l *lane) {
	var sent, refused uint64
	members := p.group.rosters[l.index].members
	for i := range members {
		m := &members[i]
		if p.number <= m.since || m.session == p.except {
			continue
		}
		message := p.messages[m.grammar]
		switch {
		case message == nil: // the grammar has no such message
		case m.link.Send(message):
			sent++
		default:
			refused++
		}
	}
	t := l.tally(p.group.hub)
	t.delivered.Add(sent)
	if refused > 0 {
		t.dropped[linkRefused].Add(refused)
	}
}

// task returns the task that delivers on the lane's loop.
func (p *publication) task(l *lane, stamp int64) Task {
	if stamp == 0 {
		return &delivery{publication: *p, lane: l}
	}
	return &stampedDelivery{delivery{publication: *p, lane: l}, stamp}
}

// delivery is a publication as a task for another loop.
type delivery struct {
	publication
	lane *lane // of the loop it is posted to
}

// Run delivers to the members on the loop.
func (d *delivery) Run() { d.deliver(d.lane) }

// stampedDelivery is a delivery that is measured. The few that are pay for it:
// with the stamp, a delivery would be of the next size of the allocator.
type stampedDelivery struct {
	delivery
	stamp int64
}

// Run delivers to the members on the loop and reports the stamp.
func (d *stampedDelivery) Run() {
	d.delivery.Run()
	d.lane.delivered(d.stamp)
}
