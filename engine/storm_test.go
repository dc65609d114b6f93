package engine

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/frame"
	"sluice/internal/testkit"
)

// room sends what one member publishes to all members, on whichever loop they
// are: a hub in a few lines.
type room struct {
	members []map[*Conn]bool // by loop, owned by it
}

func (r *room) Upgrade(*Conn, *http.Request) (Acceptance, *Refusal) {
	return Acceptance{Open: func(c *Conn) (Endpoint, error) {
		r.members[c.Loop().Index()][c] = true
		return &member{room: r, conn: c}, nil
	}}, nil
}

type member struct {
	room *room
	conn *Conn
}

// Message takes "publish", "leave" and anything else, which is sent back.
func (m *member) Message(op frame.Opcode, p []byte) {
	switch {
	case strings.HasPrefix(string(p), "publish"):
		shared := frame.Seal(op, append(make([]byte, frame.HeadRoom), p...))
		for _, l := range m.conn.Loop().engine.Loops() {
			l.Post(&publish{members: m.room.members[l.Index()], message: shared})
		}
	case string(p) == "leave":
		m.conn.Close(frame.CloseNormal, "as you wish")
	default:
		m.conn.Write(op, p)
	}
}

func (m *member) Closed() { delete(m.room.members[m.conn.Loop().Index()], m.conn) }

type publish struct {
	members map[*Conn]bool
	message *frame.Message
}

func (p *publish) Run() {
	for c := range p.members {
		c.Send(p.message) // one that is on its way out refuses
	}
}

// stormClient is one client that does a number of things at random.
type stormClient struct {
	t    *testing.T
	node *node
	id   int
	r    *rand.Rand
	conn *testkit.Conn
}

func (s *stormClient) run(steps int) error {
	for i := range steps {
		if s.conn == nil {
			if err := s.connect(); err != nil {
				return fmt.Errorf("connect: %w", err)
			}
		}
		var err error
		switch s.r.IntN(12) {
		case 0:
			_, err = s.conn.Write(testkit.MaskedFrame(0x81, fmt.Appendf(nil, "publish %d %d", s.id, i)))
		case 1:
			s.conn.Reset()
			s.conn = nil
		case 2: // within a frame
			_, err = s.conn.Write(testkit.MaskedFrame(0x82, make([]byte, 5000))[:s.r.IntN(5000)])
			s.conn.Reset()
			s.conn = nil
		case 3:
			err = s.leave(testkit.MaskedFrame(0x88, closeBody(1000, "")))
		case 4:
			err = s.leave(testkit.MaskedFrame(0x81, []byte("leave")))
		case 5: // breaks a rule
			err = s.leave([]byte{0xff, 0xff})
		default:
			err = s.echo(fmt.Sprintf("%d %d %s", s.id, i, strings.Repeat("x", s.r.IntN(2000))))
		}
		if err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return nil
}

func (s *stormClient) connect() error {
	nc, err := s.node.tryDial()
	if err != nil {
		return err
	}
	_ = nc.SetDeadline(time.Now().Add(testkit.Patience))
	s.conn = testkit.Wrap(s.t, nc)
	if _, err := nc.Write([]byte(testkit.Head("/"))); err != nil {
		return err
	}
	resp, err := http.ReadResponse(s.conn.R, nil)
	if err == nil && resp.StatusCode != http.StatusSwitchingProtocols {
		err = fmt.Errorf("answer %s", resp.Status)
	}
	return err
}

// until reads up to a frame that is not somebody's publication.
func (s *stormClient) until() (testkit.Frame, error) {
	for {
		f, err := s.conn.TryReadFrame()
		if err != nil || !strings.HasPrefix(string(f.Payload), "publish") {
			return f, err
		}
	}
}

func (s *stormClient) echo(text string) error {
	if _, err := s.conn.Write(testkit.MaskedFrame(0x81, []byte(text))); err != nil {
		return err
	}
	f, err := s.until()
	if err == nil && string(f.Payload) != text {
		err = fmt.Errorf("got %s, want %q", f, text)
	}
	return err
}

// leave says something that the server answers with a close.
func (s *stormClient) leave(last []byte) error {
	if _, err := s.conn.Write(last); err != nil {
		return err
	}
	f, err := s.until()
	if err == nil && f.Op != byte(frame.OpClose) {
		err = fmt.Errorf("got %s, want a close", f)
	}
	s.conn.Close()
	s.conn = nil
	return err
}

// TestStorm: hundreds of clients come, talk, publish and go in every way there
// is, all at once; afterwards everything is as before.
func TestStorm(t *testing.T) {
	const clients, steps, loops = 300, 12, 2
	r := &room{}
	for range loops {
		r.members = append(r.members, map[*Conn]bool{})
	}
	n := start(t, Config{Loops: loops}, r)
	seed := rand.Uint64()
	var all sync.WaitGroup
	for id := range clients {
		all.Go(func() {
			s := &stormClient{t: t, node: n, id: id, r: rand.New(rand.NewPCG(seed, uint64(id)))}
			if err := s.run(steps); err != nil {
				t.Errorf("client %d, seed %d: %v", id, seed, err)
			}
			if s.conn != nil {
				s.conn.Close()
			}
		})
	}
	all.Wait()
	n.quiet()
	for _, l := range n.loops {
		n.on(l, func() {
			if len(r.members[l.Index()]) != 0 || len(l.conns) != 0 || len(l.dirty) != 0 || l.wheel.Len() != 0 {
				t.Errorf("loop %d: %d members, %d connections, %d dirty, %d deadlines", l.Index(),
					len(r.members[l.Index()]), len(l.conns), len(l.dirty), l.wheel.Len())
			}
		})
	}
}
