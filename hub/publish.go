package hub

import (
	"sluice/frame"
	"sluice/hub/wire"
)

// publication is one message on its way to its receivers. It does not change
// once it is made; one that leaves its loop is shared by the tasks of all.
type publication struct {
	group  *group
	number uint64     // see member.since
	offset uint64     // in the history of the group, 0 for none
	except *Session   // the sender, when it does not want its own copy
	only   *selection // nil takes all
	until  int64      // see Session.take

	messages translations
}

// translations is one message in each grammar that had a speaker among its
// receivers when it was made, nil in the others. That of a sequenced grammar is
// a beginning, which each receiver completes.
type translations [maxGrammars]*frame.Message

// make fills in m in each of the grammars.
func (t *translations) make(e *encoder, n *Node, spoken grammarSet, m *wire.Message) {
	for ; spoken != 0; spoken = spoken.rest() {
		i := spoken.first()
		t[i] = e.message(n.grammars[i], m)
	}
}

// expendable says what becomes of the messages where there is no room for them,
// before they are shared. With a conflation key only the newest one of a group, or
// of those that are for none, is of use, whatever the rule. Without one that holds
// for all of a group where the rule is to conflate; messages that are for no group
// have nothing to do with each other and get no key.
func (t *translations) expendable(o frame.Overflow, group string, conflationKey []byte) {
	key := ""
	switch {
	case len(conflationKey) > 0:
		o, key = frame.OverflowConflate, group+"\xff"+string(conflationKey) // not UTF-8, so not the name of a group
	case o == frame.OverflowClose:
		return
	case o == frame.OverflowConflate:
		key = group
	}
	for _, m := range t {
		if m != nil {
			m.Expendable(o, key)
		}
	}
}

// publish gives m to every member of the group but except: at once to those on
// this loop, by one task to each other loop that has members. Runs on the lane's
// loop; m is only read, and not after publish has returned.
//
// Copies that cannot be handed to a loop are dropped and counted, and the result
// is overloaded; the other loops' members have got theirs.
func (l *lane) publish(g *group, m *wire.Message, conflationKey []byte, except *Session, until int64) refusal {
	p := publication{group: g, except: except, until: until}
	p.encode(&l.encoder, m, conflationKey)
	stamp := l.stamp()
	members, r := p.post(l.index, stamp, l.tally(g.hub))
	p.deliver(l)
	l.delivered(stamp)
	l.fanOut.Observe(members)
	return r
}

// encode numbers the publication and makes its messages, one for each grammar
// that is spoken in the group: once for all members on all loops. The number
// comes before the look at the counts; see group.add.
func (p *publication) encode(e *encoder, m *wire.Message, conflationKey []byte) {
	g := p.group
	p.number = g.published.Add(1)
	p.messages.make(e, g.hub.node, g.speakers.spoken(), m)
	p.messages.expendable(g.policy().overflow, g.name, conflationKey)
}

// nowhere is the index of no loop.
const nowhere = -1

// post gives the publication to the loops that have members, except to the one
// with the index home, and returns the number of members on all loops. by counts
// the copies that are lost.
func (p *publication) post(home int, stamp int64, by *tally) (members uint64, r refusal) {
	g := p.group
	var shared *publication
	for i := range g.rosters {
		n := uint64(g.rosters[i].count.Load())
		members += n
		if n == 0 || i == home {
			continue
		}
		if shared == nil {
			shared = new(publication) // most publications stay on their loop and on its stack
			*shared = *p
		}
		to := &g.hub.node.lanes[i]
		if !to.loop.Post(&delivery{shared, to, stamp}) {
			by.dropped[loopOverloaded].Add(n)
			r = overloaded
		}
	}
	return members, r
}

// deliver sends the publication to the members on the lane's loop, where it runs.
func (p *publication) deliver(l *lane) {
	var sent, refused uint64
	direct := ^l.node.sequenced // the grammars whose members need a Send and no more
	if p.only != nil {
		direct = 0
	}
	members := p.group.rosters[l.index].members
	if p.offset != 0 && len(members) > 0 { // with members the group is there, and its history
		p.group.past().seen[l.index] = p.offset
	}
	for i := range members {
		m := &members[i]
		if p.number <= m.since || m.session == p.except {
			continue
		}
		message, ok := p.messages[m.grammar], false
		switch {
		case message == nil: // the grammar has no such message
			continue
		case direct.has(m.grammar):
			ok = m.link.Send(message)
		case p.only.takes(m.session):
			ok = m.session.take(message, p.until)
		default:
			continue
		}
		if ok {
			sent++
		} else {
			refused++
		}
	}
	t := l.tally(p.group.hub)
	t.delivered.Add(sent)
	if refused > 0 {
		t.dropped[linkRefused].Add(refused)
	}
}

// delivery is a publication as a task for another loop.
type delivery struct {
	*publication
	lane  *lane // of the loop it is posted to
	stamp int64 // 0 for one that is not measured
}

// Run delivers to the members on the loop and reports the stamp.
func (d *delivery) Run() {
	d.deliver(d.lane)
	d.lane.delivered(d.stamp)
}
