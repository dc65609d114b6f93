// Package introspect asks an identity provider about tokens that only it can read
// (RFC 7662), and remembers what it said. It does not judge who may come in.
//
// [Client.Introspect] never blocks, so event loops may call it: it answers from
// memory, or has the token queued for one of a few workers, which belong to
// [Client.Run]. Many who ask about one token cause one request. A provider that
// fails is left alone for a while (a circuit breaker): then nobody is queued, nor
// waits.
package introspect

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"sluice/auth"
	"sluice/internal/later"
)

const (
	// minTTL is how long every answer is remembered at the least: those who have
	// waited for it ask again when they are woken.
	minTTL = 2 * time.Second

	// failureTTL is how long it is remembered that a request has failed, so that
	// those who have waited for it do not cause the next one.
	failureTTL = time.Second
)

// Result is what came of asking, or of wanting to. Its values are metric labels.
type Result string

const (
	Active      Result = "active"
	Inactive    Result = "inactive"
	Failed      Result = "failed"       // no answer, or one that makes no sense
	Timeout     Result = "timeout"      // no answer in time
	BreakerOpen Result = "breaker_open" // not asked: the provider has failed too often
	QueueFull   Result = "queue_full"   // not asked: too many tokens wait for it
)

// Observer hears what came of asking about a token, and the error where it has
// failed, which shows nothing of it. Any goroutine, event loops included: it must
// not block.
type Observer func(result Result, err error)

// Client asks one provider. It is safe for concurrent use.
type Client struct {
	// static
	cfg     auth.Introspection
	asker   asker
	observe Observer
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
	room    later.Room // of those who wait
	queue   chan *question

	mu      sync.Mutex
	asking  map[key]*question // guarded by mu; queued or under way
	answers *answers          // guarded by mu
}

// key names a token without keeping it.
type key = [sha256.Size]byte

// question is a token that the provider is being asked about.
type question struct {
	key   key
	token string
	event *later.Event
	done  func(error) // tells the breaker
	probe bool        // it is what the breaker lets through to see whether the provider is back
}

var _ auth.Introspector = (*Client)(nil)

// New returns a client that asks nobody before Run. The configuration must have
// passed Validate; observe may be nil.
func New(cfg auth.Introspection, observe Observer) *Client {
	if observe == nil {
		observe = func(Result, error) {}
	}
	cfg = cfg.WithDefaults()
	return &Client{
		cfg:     cfg,
		asker:   newAsker(cfg),
		observe: observe,
		breaker: gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
			Timeout:     cfg.BreakerPause,
			ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= uint32(cfg.BreakerFailures) },
			IsExcluded:  func(err error) bool { return errors.Is(err, errNotAsked) || errors.Is(err, errBadRequest) },
		}),
		room:    later.Room{Most: int64(cfg.Queue + cfg.Workers)},
		queue:   make(chan *question, cfg.Queue),
		asking:  make(map[key]*question),
		answers: newAnswers(cfg.CacheEntries),
	}
}

// errNotAsked is the end of a question that nobody has asked.
var errNotAsked = errors.New("not asked")

// Introspect implements auth.Introspector.
func (c *Client) Introspect(token string) auth.Introspected {
	k := sha256.Sum256([]byte(token))
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.answers.get(k, time.Now()); ok {
		return known
	}
	q := c.asking[k]
	if q == nil {
		if q = c.ask(k, token); q == nil {
			return auth.Introspected{}
		}
	}
	return auth.Introspected{Later: q.event}
}

// ask queues a token, nil if that is of no use. mu is held, so nobody else fills
// the queue meanwhile.
func (c *Client) ask(k key, token string) *question {
	if len(c.queue) == cap(c.queue) {
		c.observe(QueueFull, nil)
		return nil
	}
	probe := c.breaker.State() == gobreaker.StateHalfOpen
	done, err := c.breaker.Allow()
	if err != nil {
		c.observe(BreakerOpen, nil)
		return nil
	}
	q := &question{key: k, token: strings.Clone(token), event: later.NewEvent(&c.room), done: done, probe: probe}
	c.asking[k] = q
	c.queue <- q
	return q
}

// Run asks the provider, with a few workers, until the context ends. What is not
// answered by then is given up.
func (c *Client) Run(ctx context.Context) {
	var workers sync.WaitGroup
	for range c.cfg.Workers {
		workers.Go(func() { c.work(ctx) })
	}
	workers.Wait()
	c.asker.close()
	for {
		select {
		case q := <-c.queue:
			c.answer(q, nil, errNotAsked)
		default:
			return
		}
	}
}

func (c *Client) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case q := <-c.queue:
			c.answer(c.answered(ctx, q))
		}
	}
}

// answered asks the provider.
func (c *Client) answered(ctx context.Context, q *question) (*question, []byte, error) {
	if ctx.Err() != nil {
		return q, nil, errNotAsked
	}
	if !q.probe && c.breaker.State() != gobreaker.StateClosed {
		// It was queued before the breaker opened. The probe must not wait behind
		// hundreds of timeouts.
		return q, nil, errNotAsked
	}
	claims, err := c.asker.ask(ctx, q.token)
	if ctx.Err() != nil {
		err = errNotAsked // it was broken off
	}
	return q, claims, err
}

// answer books what the provider has said, no claims for a token that is not
// active, and wakes those who wait for it.
func (c *Client) answer(q *question, claims []byte, err error) {
	said, result, ttl := auth.Introspected{Known: err == nil, Active: claims != nil, Claims: claims}, Active, c.cfg.CacheTTL
	switch {
	case errors.Is(err, errNotAsked):
		result, ttl = BreakerOpen, failureTTL
	case errors.Is(err, context.DeadlineExceeded):
		result, ttl = Timeout, failureTTL
	case err != nil:
		result, ttl = Failed, failureTTL
	case claims == nil:
		result, ttl = Inactive, max(minTTL, c.cfg.NegativeTTL)
	default:
		ttl = max(minTTL, min(ttl, time.Until(expiryOf(claims))))
	}
	q.done(err)
	c.observe(result, err)
	c.mu.Lock()
	c.answers.put(q.key, said, time.Now().Add(ttl))
	delete(c.asking, q.key)
	c.mu.Unlock()
	q.event.Done()
}

// BreakerOpen tells whether the provider is left alone, or is just being tried.
func (c *Client) BreakerOpen() bool { return c.breaker.State() != gobreaker.StateClosed }

// Entries returns the number of answers that are remembered.
func (c *Client) Entries() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answers.len()
}
