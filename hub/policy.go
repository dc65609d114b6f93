package hub

import (
	"cmp"
	"slices"
)

// policy is a hub's settings in the form in which it asks them. It does not
// change.
type policy struct{ Tenant }

// newPolicy compiles settings in which every zero is replaced. Keys are for those
// who verify tokens, not for a hub to keep.
func newPolicy(t Tenant) policy {
	t.Keys = nil
	return policy{t}
}

// label returns what metrics call the hub of that name.
func (p *policy) label(name string) string { return cmp.Or(p.Label, name) }

// admitUser decides about one more connection of a user that has those already:
// which of them have to go for it, or why it may not come.
func (p *policy) admitUser(all []*Session) (replaced []*Session, r refusal) {
	switch {
	case p.DuplicateLogin == NewestWins:
		return slices.Clone(all), accepted
	case p.DuplicateLogin == OldestWins && len(all) > 0, len(all) >= p.MaxConnectionsPerUser:
		return nil, userFull
	}
	return nil, accepted
}
