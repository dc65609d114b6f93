package hub

import "cmp"

// policy is a hub's settings in the form in which it asks them. It does not
// change.
type policy struct {
	Tenant
	groups groupPolicies
}

// newPolicy compiles settings in which every zero is replaced. Keys are for those
// who verify tokens, not for a hub to keep.
func newPolicy(t Tenant) policy {
	t.Keys = nil
	return policy{Tenant: t, groups: newGroupPolicies(&t)}
}

// label returns what metrics call the hub of that name.
func (p *policy) label(name string) string { return cmp.Or(p.Label, name) }

// admitUser decides about one more connection of a user that has so many: whether
// these have to go for it, or why it may not come.
func (p *policy) admitUser(there int) (replaces bool, r refusal) {
	switch {
	case p.DuplicateLogin == NewestWins:
		return true, accepted
	case p.DuplicateLogin == OldestWins && there > 0, there >= p.MaxConnectionsPerUser:
		return false, userFull
	}
	return false, accepted
}
