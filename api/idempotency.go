package api

import (
	"crypto/sha256"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// A caller that got no answer to a send cannot know whether it was done. With a
// key of its own for each send, in the header Idempotency-Key, it may ask again:
// what was done is not done again.

const (
	idempotencyHeader = "Idempotency-Key"

	// maxIdempotencyKey bounds a key, in bytes.
	maxIdempotencyKey = 255

	// maxIdempotencyKeys bounds what is remembered; the oldest are forgotten
	// first. idempotencyAge is how long each is.
	maxIdempotencyKeys = 100_000
	idempotencyAge     = 10 * time.Minute
)

// fingerprint tells requests apart.
type fingerprint [sha256.Size]byte

// sent is a send that has succeeded or is under way.
type sent struct {
	request  fingerprint
	finished bool
	at       time.Time // when it began
}

// idempotency remembers sends by hub and key. It is safe for concurrent use.
type idempotency struct {
	now func() time.Time // static

	mu    sync.Mutex
	sends map[fingerprint]*sent // guarded by mu; by hub and key
	order []fingerprint         // guarded by mu; of sends, the oldest first; some are gone
}

func newIdempotency() *idempotency {
	return &idempotency{now: time.Now, sends: map[fingerprint]*sent{}}
}

// begin says what to do with a request that comes under a key: go on, and then
// call finish or cancel; or nothing more, because it was done; or refuse it.
func (i *idempotency) begin(key, request fingerprint) (proceed bool, _ *problem) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.forget()
	known := i.sends[key]
	switch {
	case known == nil:
		i.sends[key] = &sent{request: request, at: i.now()}
		i.order = append(i.order, key)
		return true, nil
	case known.request != request:
		return false, &problem{status: http.StatusUnprocessableEntity, Code: codeKeyReused, Target: idempotencyHeader,
			Message: "was used for another request; take a new one for each"}
	case !known.finished:
		p := later(http.StatusConflict, codeConflict, "the same request is under way")
		p.Target = idempotencyHeader
		return false, p
	}
	return false, nil
}

// finish notes that the request was done.
func (i *idempotency) finish(key fingerprint) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if s := i.sends[key]; s != nil {
		s.finished = true
	}
}

// cancel forgets a request that has failed: it may be tried again.
func (i *idempotency) cancel(key fingerprint) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.sends, key)
}

// forget makes room: what is too old goes, and the oldest where there is too much.
func (i *idempotency) forget() {
	oldest := i.now().Add(-idempotencyAge)
	for len(i.order) > 0 {
		s := i.sends[i.order[0]]
		if s != nil && s.at.After(oldest) && len(i.order) < maxIdempotencyKeys {
			return
		}
		delete(i.sends, i.order[0])
		i.order = i.order[1:]
	}
}

// once runs a send unless one under the key has succeeded.
func (i *idempotency) once(key, request fingerprint, send func() *problem) *problem {
	proceed, p := i.begin(key, request)
	if !proceed {
		return p
	}
	if p := send(); p != nil {
		i.cancel(key)
		return p
	}
	i.finish(key)
	return nil
}

// once runs a send under the key of the call, if it has one.
func (c *call) once(body []byte, send func() *problem) *problem {
	key, p := c.idempotencyKey()
	switch {
	case p != nil:
		return p
	case key == "":
		return send()
	}
	return c.data.sends.once(print(c.name, key), c.fingerprint(body), send)
}

// idempotencyKey returns the key of the call; "" for none.
func (c *call) idempotencyKey() (string, *problem) {
	key := c.Header.Get(idempotencyHeader)
	if len(key) > maxIdempotencyKey {
		return "", badRequest(idempotencyHeader, "longer than "+strconv.Itoa(maxIdempotencyKey)+" bytes")
	}
	return key, nil
}

// fingerprint tells the call from others.
func (c *call) fingerprint(body []byte) fingerprint {
	return print(c.URL.Path, c.URL.RawQuery, c.Header.Get("Content-Type"), string(body))
}

// print returns the fingerprint of some texts.
func print(texts ...string) (f fingerprint) {
	h := sha256.New()
	for _, t := range texts {
		h.Write(strconv.AppendInt(nil, int64(len(t)), 10)) // so that no two lists run together to the same
		h.Write([]byte{':'})
		h.Write([]byte(t))
	}
	h.Sum(f[:0])
	return f
}
