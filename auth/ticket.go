package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// A ticket is a token for one handshake: a short text without meaning, good for
// seconds and once. It is for clients that can put what lets them in nowhere but
// into an address, which ends up in logs.

// ticketPrefix begins every ticket, and no JWT. Redaction goes by it too.
const ticketPrefix = "slt_"

// MaxTicketLife is how long a ticket can wait to be used.
const MaxTicketLife = 5 * time.Minute

const (
	// maxTicketBytes bounds what the waiting tickets of one hub hold: some 16,000
	// without groups.
	maxTicketBytes = 4 << 20

	// ticketBytes is about what one takes beside the texts in it.
	ticketBytes = 256
)

// ErrTicketsFull means that as many tickets of a hub wait as can be remembered.
var ErrTicketsFull = errors.New("as many tickets of the hub wait as can be remembered; try again later")

// tickets are those that were made and not yet used. They are in memory, and
// forgotten when the process ends. It is safe for concurrent use.
type tickets struct {
	mu   sync.Mutex
	hubs map[string]*waiting // guarded by mu; by canonical name
}

// waiting are the tickets of one hub by their SHA-256: how long it takes to look
// one up tells nothing of the texts.
type waiting struct {
	tickets map[[sha256.Size]byte]ticket
	bytes   int // of all of them
}

type ticket struct {
	id    Identity
	until time.Time // the first moment at which it is no good any more
	bytes int       // about what it takes
}

// size is about what a ticket with these claims takes, in bytes.
func (c Claims) size() int {
	n := ticketBytes + len(c.User)
	for _, texts := range [][]string{c.Groups, c.Roles} {
		for _, t := range texts {
			n += len(t)
		}
	}
	return n
}

// issue makes a ticket, or returns ErrTicketsFull.
func (t *tickets) issue(hub string, one ticket, now time.Time) (string, error) {
	text := ticketPrefix + rand.Text()
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.hubs[hub]
	if w == nil {
		w = &waiting{tickets: map[[sha256.Size]byte]ticket{}}
		if t.hubs == nil {
			t.hubs = map[string]*waiting{}
		}
		t.hubs[hub] = w
	}
	w.sweep(now)
	if w.bytes+one.bytes > maxTicketBytes {
		return "", ErrTicketsFull
	}
	w.tickets[sha256.Sum256([]byte(text))] = one
	w.bytes += one.bytes
	return text, nil
}

// sweepSample is how many tickets one that is made has looked at. With eight, about
// one in eight of those that are kept is over.
const sweepSample = 8

// sweep forgets what is over among a few tickets, by chance other ones each time:
// event loops wait for the lock, so that a look at all would hold them up.
func (w *waiting) sweep(now time.Time) {
	n := 0
	for key, one := range w.tickets {
		if !now.Before(one.until) {
			w.remove(key, one)
		}
		if n++; n == sweepSample {
			return
		}
	}
}

func (w *waiting) remove(key [sha256.Size]byte, one ticket) {
	delete(w.tickets, key)
	w.bytes -= one.bytes
}

// redeem returns for whom a ticket of the hub was made, to the first who asks.
func (t *tickets) redeem(hub, text string, now time.Time) (Identity, *Refusal) {
	key := sha256.Sum256([]byte(text))
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.hubs[hub]
	if w == nil {
		return Identity{}, unknownTicket()
	}
	one, ok := w.tickets[key]
	if !ok {
		return Identity{}, unknownTicket()
	}
	w.remove(key, one)
	if !now.Before(one.until) {
		return Identity{}, Refuse(TicketExpired, "the ticket has waited too long; ask for a new one for each connection")
	}
	return one.id, nil
}

func unknownTicket() *Refusal {
	return Refuse(TicketUnknown, "there is no such ticket for this hub, or it was used or expired; ask for a new one for each connection")
}

// IssueTicket makes a ticket for one handshake of a client of the hub in c, good
// for so long; c.TTL is how long the connection may last. The error is
// ErrTicketsFull or says what is wrong with c.
func (t *Tenants) IssueTicket(c Claims, life time.Duration, now time.Time) (string, error) {
	if err := c.check(); err != nil {
		return "", err
	}
	if life <= 0 || life > MaxTicketLife {
		return "", errors.New("life: a ticket is good for at most " + MaxTicketLife.String())
	}
	groups := slices.Clone(c.Groups)
	slices.Sort(groups)
	return t.tickets.issue(CanonicalHub(c.Hub), ticket{
		id: Identity{
			User:        strings.Clone(c.User),
			Groups:      slices.Compact(groups),
			Permissions: t.common.verifier.permissions.compile(c.Roles).permissions,
			Expires:     now.Add(c.TTL),
			IssuedAt:    now.Truncate(time.Second), // as in a token, for revoking what was issued before
		},
		until: now.Add(life),
		bytes: c.size(),
	}, now)
}
