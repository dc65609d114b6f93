package hub

// selection is a Selection in the form in which loops ask it. It does not change
// and is shared by them.
type selection struct {
	excluded map[connectionID]struct{}
	match    func(Subject) bool
}

// compile returns nil for a selection that takes all.
func (s Selection) compile() *selection {
	if len(s.Excluded) == 0 && s.Match == nil {
		return nil
	}
	only := &selection{match: s.Match, excluded: make(map[connectionID]struct{}, len(s.Excluded))}
	for _, text := range s.Excluded {
		if id, ok := parseID(text); ok { // what is no id excludes nobody
			only.excluded[id] = struct{}{}
		}
	}
	return only
}

// takes reports whether the session is selected. Runs on the session's loop.
func (o *selection) takes(s *Session) bool {
	if o == nil {
		return true
	}
	if _, out := o.excluded[s.id]; out {
		return false
	}
	return o.match == nil || o.match((*subject)(s))
}

// subject is a session as filters see it.
type subject Session

var _ Subject = (*subject)(nil)

func (s *subject) ConnectionID() string { return s.id.String() }
func (s *subject) UserID() string       { return s.user }
func (s *subject) Subprotocol() string  { return (*Session)(s).language().Name() }

func (s *subject) InGroup(name string) bool {
	for _, m := range s.memberships {
		if m.group.name == name {
			return true
		}
	}
	return false
}

func (s *subject) Groups() []string {
	names := make([]string, len(s.memberships))
	for i, m := range s.memberships {
		names[i] = m.group.name
	}
	return names
}
