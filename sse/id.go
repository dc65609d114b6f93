package sse

import (
	"strconv"
	"strings"

	"sluice/hub"
)

// The id of an event says where its stream was in the histories of its groups after
// it: EPOCH:OFFSET for each group that has one, in the order of their names, with
// commas between. An epoch is of one history and no other, so the names need not
// stand there, and a client that comes back in other groups is still understood.

const (
	// maxPlaces bounds the groups with a place in the id. An id is repeated with
	// every message, and comes back in the head of a request.
	maxPlaces = 32

	// maxID bounds the ids that are read: 32 places of an epoch of 10 characters
	// and 20 digits.
	maxID = maxPlaces * 32

	// idOver is the id of the last event of a stream whose client shall not come
	// back. A browser does, and shows it.
	idOver = "over"
)

// position is where a stream is. It belongs to the goroutine of the request.
type position struct {
	groups map[string]int // index into places
	places []hub.Place
}

// newPosition returns the place before what is to be told first.
func newPosition(past []hub.Recollection) *position {
	p := &position{groups: make(map[string]int, len(past))}
	for i := range past {
		p.groups[past[i].Group] = i
		p.places = append(p.places, past[i].Before())
	}
	return p
}

// advance notes a message that is told next; false for one of a group without a
// place.
func (p *position) advance(group string, offset uint64) bool {
	i, ok := p.groups[group]
	if ok {
		p.places[i].Offset = offset
	}
	return ok
}

// appendID appends the id; nothing where no group has a history.
func (p *position) appendID(dst []byte) []byte {
	for i, place := range p.places {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(dst, place.Epoch...), ':')
		dst = strconv.AppendUint(dst, place.Offset, 10)
	}
	return dst
}

// parseID reads an id that a client brings back. Of one that this node cannot have
// given there is no place: the client gets all there is, and is told that it may
// have missed something.
func parseID(id string) (places []hub.Place) {
	if len(id) > maxID {
		return nil
	}
	for one := range strings.SplitSeq(id, ",") {
		epoch, digits, _ := strings.Cut(one, ":")
		offset, err := strconv.ParseUint(digits, 10, 64)
		if err != nil || epoch == "" || len(places) == maxPlaces {
			return nil
		}
		places = append(places, hub.Place{Epoch: epoch, Offset: offset})
	}
	return places
}
