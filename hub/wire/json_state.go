package wire

import (
	"math"
	"strconv"
)

// maxStateKey is the longest key of a state, in bytes.
const maxStateKey = 256

// checkState checks one entry of a group state, and how many bytes there are so
// far.
func (d *Decoder) checkState(p Pair, total int) {
	switch {
	case len(p.Key) == 0 || len(p.Key) > maxStateKey:
		d.fail("state", "a key is empty or longer than "+strconv.Itoa(maxStateKey)+" bytes")
	case total > MaxState || len(d.pairs) == maxPairs:
		d.fail("state", "too large")
	}
}

// history reads what a client that joins wants of what came before.
func (d *Decoder) history() (h History) {
	if d.raw[fieldHistory] == nil {
		return h
	}
	d.descend(fieldHistory)
	last, hasLast := d.uint(fieldHistoryLast, math.MaxUint32)
	since, hasSince := d.uint(fieldHistorySince, math.MaxUint64)
	epoch := d.optional(fieldHistoryEpoch, MaxID)
	switch {
	case hasLast == hasSince:
		d.fail("history", "want one of last and since")
	case hasLast && last == 0:
		d.fail(fieldHistoryLast.String(), "want a number from 1")
	case hasLast:
		return History{Wanted: true, Last: uint32(last)}
	case len(epoch) == 0:
		d.fail(fieldHistoryEpoch.String(), "missing: an offset means nothing without it")
	}
	return History{Wanted: true, Since: since, Epoch: epoch}
}

// AppendGroupState implements Grammar.
func (JSONv1) AppendGroupState(dst []byte, s *GroupState) []byte {
	if s.Snapshot {
		dst = append(dst, `{"type":"groupStateSnapshot"`...)
	} else {
		dst = append(dst, `{"type":"groupStateUpdate"`...)
	}
	dst = appendGroup(dst, s.Group)
	dst = append(dst, `,"items":[`...)
	for i := range s.Items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = s.Items[i].append(dst)
	}
	return append(dst, `]}`...)
}

func (item *StateItem) append(dst []byte) []byte {
	dst = append(dst, `{"connectionId":`...)
	dst = appendString(dst, item.ConnectionID)
	if item.UserID != "" {
		dst = appendText(dst, "userId", item.UserID)
	}
	if item.HasState {
		dst = append(dst, `,"state":`...)
		dst = appendPairs(dst, item.State)
	}
	dst = append(dst, `,"updatedAt":`...)
	dst = strconv.AppendInt(dst, item.UpdatedAt, 10)
	if item.Event != NoMemberEvent {
		dst = appendText(dst, "event", item.Event.String())
	}
	return append(dst, '}')
}

// AppendHistory implements Grammar.
func (JSONv1) AppendHistory(dst []byte, h *HistoryInfo) []byte {
	dst = append(dst, `{"type":"history"`...)
	dst = appendGroup(dst, h.Group)
	dst = appendText(dst, "epoch", h.Epoch)
	dst = appendUint(dst, "offset", h.Offset)
	dst = append(dst, `,"complete":`...)
	dst = strconv.AppendBool(dst, h.Complete)
	return append(dst, '}')
}

// Offsets implements Grammar.
func (JSONv1) Offsets() Grammar { return JSONv1{offsets: true} }
