package gnetserver

import (
	"bytes"

	"github.com/panjf2000/gnet/v2"

	"sluice/frame"
)

// group is the eight digits that name a group.
type group [8]byte

// members are the connections of one group.
type members struct{ conns []gnet.Conn }

// writer sends what it is sent: each frame, as it came, to every connection of
// the group that its payload names, with one write each. A frame with "sub:" and
// a group makes its sender a member and is sent back.
//
// With joined set, the frames that came together for one group are written
// together: the floor for a server that joins messages.
type writer struct {
	base
	groups map[group]*members
	joined bool
}

// hello introduces a member.
var hello = []byte("sub:")

// OnTraffic implements gnet.EventHandler. It runs on the only loop, so every
// connection may be written to.
func (w *writer) OnTraffic(c gnet.Conn) gnet.Action {
	p, err := c.Peek(-1)
	if err != nil {
		return gnet.Close
	}
	read := 0
	for read < len(p) {
		g, size, ok := parse(p[read:])
		if !ok {
			return gnet.Close
		}
		if size == 0 {
			break // not whole yet
		}
		if w.joined {
			size += w.more(g, p[read+size:])
		}
		w.send(c, g, p[read:read+size])
		read += size
	}
	if _, err := c.Discard(read); err != nil {
		return gnet.Close
	}
	return gnet.None
}

// parse returns the group and the size of the frame that p begins with; size 0
// when it is not whole.
func parse(p []byte) (g group, size int, ok bool) {
	h, n, err := frame.ParseHeader(p)
	if err != nil || n > 0 && h.Length < int64(len(g)) || h.Length > 1<<20 {
		return g, 0, false
	}
	size = n + int(h.Length)
	if n == 0 || len(p) < size {
		return g, 0, true
	}
	copy(g[:], p[n:])
	return g, size, true
}

// more returns the size of the further frames for the same group.
func (w *writer) more(g group, p []byte) (size int) {
	for {
		next, n, ok := parse(p[size:])
		if !ok || n == 0 || next != g || bytes.HasPrefix(next[:], hello) {
			return size
		}
		size += n
	}
}

func (w *writer) send(c gnet.Conn, g group, frames []byte) {
	if bytes.HasPrefix(g[:], hello) {
		_, n, _ := frame.ParseHeader(frames)
		copy(g[:], frames[n+len(hello):])
		w.join(c, g)
		_, _ = c.Write(frames)
		return
	}
	if m := w.groups[g]; m != nil {
		for _, member := range m.conns {
			_, _ = member.Write(frames) // a member that is gone is taken out in OnClose
		}
	}
}

func (w *writer) join(c gnet.Conn, g group) {
	if w.groups[g] == nil {
		w.groups[g] = &members{}
	}
	w.groups[g].conns = append(w.groups[g].conns, c)
	c.SetContext(g)
}

// OnClose implements gnet.EventHandler.
func (w *writer) OnClose(c gnet.Conn, _ error) gnet.Action {
	g, ok := c.Context().(group)
	if !ok {
		return gnet.None
	}
	m := w.groups[g]
	for i, member := range m.conns {
		if member == c {
			m.conns[i] = m.conns[len(m.conns)-1]
			m.conns = m.conns[:len(m.conns)-1]
			break
		}
	}
	return gnet.None
}
