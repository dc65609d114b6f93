package engine

// series is messages in the order in which a loop sent them. What is sent to the
// members of a large group, or to everybody, is mostly the same, message after
// message; so the output of a connection is two indices into the loop's series
// for as long as it is sent what stands there next, and the bytes are joined once
// for all who have the same piece instead of once for each.
type series struct {
	parts  [][]byte // frames as they are on the wire; shared, and not ours
	ends   []int    // ends[i] is the bytes of parts[:i+1]
	joined []byte   // as many of the parts as somebody has needed in one piece
	count  int      // of the parts in joined
	users  int      // connections whose output is a piece of it
}

const (
	// maxParts is what the indices in Conn can say.
	maxParts = 255

	// maxSeries bounds the bytes of a series, and so the memory for joining them:
	// a part that would go beyond is the last, and in no piece with others.
	maxSeries = 64 << 10
)

// bytes returns how many bytes the piece is.
func (s *series) bytes(from, to uint8) int { return s.ends[to-1] - s.start(from) }

// start returns the bytes before a part.
func (s *series) start(from uint8) int {
	if from == 0 {
		return 0
	}
	return s.ends[from-1]
}

// piece returns the bytes of parts[from:to] in one slice, valid until the next
// call.
func (s *series) piece(from, to uint8) []byte {
	if to-from == 1 {
		return s.parts[from]
	}
	for s.count < int(to) {
		s.joined = append(s.joined, s.parts[s.count]...)
		s.count++
	}
	return s.joined[s.start(from):s.ends[to-1]]
}

// appendPiece appends the bytes of parts[from:to].
func (s *series) appendPiece(dst []byte, from, to uint8) []byte {
	for _, part := range s.parts[from:to] {
		dst = append(dst, part...)
	}
	return dst
}

// follows tells whether b is the part at an index, after appending it where that
// is the end of the series and there is room.
func (s *series) follows(at uint8, b []byte) bool {
	if int(at) < len(s.parts) {
		return same(s.parts[at], b)
	}
	return s.add(b)
}

// add appends a part if there is room.
func (s *series) add(b []byte) bool {
	end := len(b)
	if n := len(s.parts); n > 0 {
		end += s.ends[n-1]
		if n == maxParts || end > maxSeries {
			return false
		}
	}
	s.parts = append(s.parts, b)
	s.ends = append(s.ends, end)
	return true
}

// same tells whether two frames are one: the same memory, not equal bytes.
func same(a, b []byte) bool { return len(a) == len(b) && &a[0] == &b[0] }

// reset forgets the parts and keeps the memory.
func (s *series) reset() {
	clear(s.parts)
	*s = series{parts: s.parts[:0], ends: s.ends[:0], joined: s.joined[:0]}
}

// begin makes b, a shared frame, all the output of a connection that has none.
func (l *Loop) begin(c *Conn, b []byte) {
	s := l.series
	if n := len(s.parts); n == 0 || !same(s.parts[n-1], b) {
		if !s.add(b) {
			s = l.nextSeries()
			s.add(b)
		}
	}
	s.users++
	c.series, c.from, c.to = s, uint8(len(s.parts)-1), uint8(len(s.parts))
}

// nextSeries replaces a series that is full.
func (l *Loop) nextSeries() *series {
	s := l.spare
	if s == nil {
		s = new(series)
	}
	l.series, l.spare = s, nil
	return s
}

// endPiece takes the connection's piece of a series away.
func (l *Loop) endPiece(c *Conn) {
	s := c.series
	c.series = nil
	if s.users--; s.users > 0 {
		return
	}
	s.reset()
	if s != l.series {
		l.spare = s
	}
}
