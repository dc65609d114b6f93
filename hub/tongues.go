package hub

import (
	"math/bits"
	"slices"
	"sync/atomic"

	"sluice/hub/wire"
)

// maxGrammars is how many grammars one node can speak, those with offsets
// counted apart; each costs four bytes in a group and eight in a publication.
const maxGrammars = 14

// grammarSet is a set of grammars, one bit for each index into Node.grammars.
type grammarSet uint32

func (s grammarSet) has(grammar uint8) bool { return s>>grammar&1 != 0 }

// first returns one grammar of a set that is not empty, and rest the others.
func (s grammarSet) first() int       { return bits.TrailingZeros32(uint32(s)) }
func (s grammarSet) rest() grammarSet { return s & (s - 1) }

// tongues counts the speakers of each grammar among the members of a group, so
// that a publication is encoded only in what somebody there understands.
type tongues [maxGrammars]atomic.Int32

// spoken returns the grammars that have a speaker now.
func (t *tongues) spoken() (s grammarSet) {
	for i := range t {
		if t[i].Load() > 0 {
			s |= 1 << i
		}
	}
	return s
}

// grammars returns all that package wire has to offer: a client may come with
// any of them, and ask for offsets later.
func grammars() []wire.Grammar {
	var all []wire.Grammar
	add := func(g wire.Grammar) {
		if !slices.Contains(all, g) {
			all = append(all, g)
		}
	}
	for _, name := range append(wire.Subprotocols(true), "") {
		var offered []string
		if name != "" {
			offered = []string{name}
		}
		g, _, _ := wire.Select(offered, true)
		add(g)
		add(g.Offsets())
	}
	return all
}

// speak adds a grammar to those of the node.
func (n *Node) speak(g wire.Grammar) {
	i := len(n.grammars)
	if i == maxGrammars {
		panic("hub: more grammars than maxGrammars")
	}
	var e encoder
	n.grammars = append(n.grammars, g)
	n.pongs = append(n.pongs, e.seal(g.AppendPong(e.blank()), g.Binary(nil)))
	if _, ok := g.(wire.Sequenced); ok {
		n.sequenced |= 1 << i
	}
}

// grammar returns the node's number of a grammar.
func (n *Node) grammar(g wire.Grammar) uint8 {
	i := slices.Index(n.grammars, g)
	if i < 0 {
		panic("hub: a session with a grammar that the node does not speak: " + g.Name())
	}
	return uint8(i)
}
