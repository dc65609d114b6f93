package swarm

import (
	"context"
	"crypto/tls"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"sluice/bench/hdr"
)

// Config says where a swarm connects and how fast.
type Config struct {
	// Target is the server.
	Target netip.AddrPort

	// TLS, when not nil, is spoken with it.
	TLS *tls.Config

	// Loops is the number of event loops. Default 1.
	Loops int

	// Sources is the number of addresses of this machine to connect from,
	// 127.0.0.2 and up, for targets in 127.0.0.0/8: one address has some 28,000
	// ports. Default 0: the kernel chooses.
	Sources int

	// Opening bounds the connections between connect and being ready, over all
	// loops. Default 128.
	Opening int

	// Rate bounds the new connections per second, over all loops. Default 0: as
	// fast as Opening allows.
	Rate float64

	// Patience bounds the time to open a connection, and the time that the peer
	// has to answer a close. Default 10s.
	Patience time.Duration

	// Spin makes the loops ask for events again and again instead of sleeping
	// until there are some. It takes a whole core for each loop.
	Spin bool

	// MaxMessageSize bounds what a server may send, in bytes. Default 16 MiB.
	MaxMessageSize int
}

// Counts is what happened to the connections of a swarm since it was made.
type Counts struct {
	Opened int // became ready
	Open   int // are ready now
	Pings  int // answered

	// Failed counts by reason the connections that did not become ready.
	Failed map[string]int

	// Lost counts by reason the connections that were ready and ended without
	// us having asked for it.
	Lost map[string]int

	// Opening is the time from the first packet to being ready.
	Opening hdr.Histogram
}

// add puts other on top.
func (c *Counts) add(other *Counts) {
	c.Opened += other.Opened
	c.Open += other.Open
	c.Pings += other.Pings
	for reason, n := range other.Failed {
		c.Failed[reason] += n
	}
	for reason, n := range other.Lost {
		c.Lost[reason] += n
	}
	c.Opening.Merge(&other.Opening)
}

func newCounts() Counts {
	return Counts{Failed: map[string]int{}, Lost: map[string]int{}}
}

// Swarm is a set of connections to one server.
type Swarm struct {
	cfg     Config
	loops   []*Loop
	stopped sync.WaitGroup

	open   atomic.Int64 // connections that are ready, for a progress line
	failed atomic.Int64
}

// New starts the loops; Stop ends them.
func New(cfg Config) (*Swarm, error) {
	cfg.Loops = max(1, cfg.Loops)
	if cfg.Opening == 0 {
		cfg.Opening = 128
	}
	if cfg.Patience == 0 {
		cfg.Patience = 10 * time.Second
	}
	if cfg.MaxMessageSize == 0 {
		cfg.MaxMessageSize = 16 << 20
	}
	s := &Swarm{cfg: cfg}
	for i := range cfg.Loops {
		l, err := newLoop(s, i)
		if err != nil {
			s.Stop()
			return nil, err
		}
		s.loops = append(s.loops, l)
		s.stopped.Go(l.run)
	}
	return s, nil
}

// Stop closes every connection without a word, and ends the loops.
func (s *Swarm) Stop() {
	for _, l := range s.loops {
		l.Post(func(*Loop) { l.stopping = true })
	}
	s.stopped.Wait()
	s.loops = nil
}

// Loops returns the number of event loops.
func (s *Swarm) Loops() int { return len(s.loops) }

// Progress returns how many connections are ready, and how many failed.
func (s *Swarm) Progress() (open, failed int) {
	return int(s.open.Load()), int(s.failed.Load())
}

// Each runs f on every loop and returns when it has returned on all of them.
// It must not be called on a loop.
func (s *Swarm) Each(f func(l *Loop)) {
	var wg sync.WaitGroup
	for _, l := range s.loops {
		wg.Add(1)
		l.Post(func(l *Loop) {
			defer wg.Done()
			f(l)
		})
	}
	wg.Wait()
}

// Counts returns what happened so far.
func (s *Swarm) Counts() *Counts {
	sum := newCounts()
	var mu sync.Mutex
	s.Each(func(l *Loop) {
		mu.Lock()
		defer mu.Unlock()
		sum.add(&l.counts)
	})
	return &sum
}

// errHopeless ends an Open that gets nowhere.
var errHopeless = errors.New("the last 200 connections all failed")

// Open opens up to n connections spread over the loops and returns when each
// has become ready, or failed. plan is called on the loop of connection i and
// says what it is; false ends the opening early. The error is that of ctx, or
// says that the server refuses everybody: single failures are counted only.
func (s *Swarm) Open(ctx context.Context, n int, plan func(l *Loop, i int) (Plan, bool)) error {
	var (
		wg       sync.WaitGroup
		canceled atomic.Bool
		hopeless atomic.Bool
	)
	defer context.AfterFunc(ctx, func() { canceled.Store(true) })()
	for index, l := range s.loops {
		wg.Add(1)
		o := &opening{
			limit: max(1, s.cfg.Opening/len(s.loops)),
			next:  index,
			done: func(gaveUp bool) {
				if gaveUp {
					hopeless.Store(true)
				}
				wg.Done()
			},
		}
		if s.cfg.Rate > 0 {
			o.interval = time.Duration(float64(time.Second) / s.cfg.Rate * float64(len(s.loops)))
		}
		o.plan = func(l *Loop, i int) (Plan, bool) {
			if i >= n || canceled.Load() {
				return Plan{}, false
			}
			return plan(l, i)
		}
		l.Post(func(l *Loop) { l.begin(o) })
	}
	wg.Wait()
	if hopeless.Load() {
		return errHopeless
	}
	return ctx.Err()
}

// CloseAll closes every connection with a close frame and returns when all of
// them have ended, which Patience bounds.
func (s *Swarm) CloseAll() {
	var wg sync.WaitGroup
	for _, l := range s.loops {
		wg.Add(1)
		l.Post(func(l *Loop) { l.closeAll(wg.Done) })
	}
	wg.Wait()
}
