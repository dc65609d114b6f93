package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// A hub may ask that each call of the HTTP API has a token of its own: made for that
// method, URL and body, and good once. Whoever sees a call go by, in a log of headers
// or at a proxy, can then neither repeat it nor change it. The token is the JWT that
// back ends make anyway, with more claims in it, two of which have their names and
// meaning from DPoP (RFC 9449 section 4.2):
//
//	jti          16 to 128 bytes, another one in each token
//	iat          when it was made, in seconds, with or without a fraction
//	htm          the method of the call
//	aud          the URL of the call with its query, exactly as it is sent
//	body_sha256  SHA-256 of the body in lower-case hexadecimal digits; may be missing
//	             where there is no body
//
// and exp, as ever. HTTP Message Signatures (RFC 9421) say the same with a second
// kind of key and signature, for which few back ends have a library.

// The reasons for which a call is refused about a hub that takes each token once.
// They are a set of their own: no client is ever refused for them.
const (
	CallIncomplete Reason = "incomplete" // the token lacks a claim, or has one that cannot be
	CallStale      Reason = "stale"      // made too long ago, in the future, or before this node was started
	CallMismatch   Reason = "mismatch"   // made for another method, URL or body
	CallReplayed   Reason = "replayed"   // used before
	CallsFull      Reason = "full"       // no room to remember one more
)

// CallReasons returns all of these, for a metric.
func CallReasons() []Reason {
	return []Reason{CallIncomplete, CallStale, CallMismatch, CallReplayed, CallsFull}
}

// How long the id of a token may be, in bytes: 16 hold as many random bits as are
// needed, and the hash of a longer one is remembered all the same.
const (
	minCallID = 16
	maxCallID = 128
)

// SingleUse remembers which tokens of calls were used. It is in memory, and forgotten
// when the process ends; that is why it takes no token from before its start. It is
// safe for concurrent use.
type SingleUse struct {
	// static
	window  time.Duration
	most    int
	started time.Time
	hubs    map[string]*spent // by canonical name
	others  spent             // of hubs that were not named
}

// NewSingleUse returns what remembers the tokens of these hubs, each by itself, and
// of all others together: at most so many, for the window in which a token may be
// used after it was made.
func NewSingleUse(window time.Duration, most int, hubs []string, now time.Time) *SingleUse {
	// To the millisecond, as exact as we write iat, and what is lost in a float64: no
	// process has taken a token and come back in less.
	started := now.Truncate(time.Millisecond).Add(-time.Microsecond)
	s := &SingleUse{window: window, most: most, started: started, hubs: make(map[string]*spent, len(hubs))}
	for _, h := range hubs {
		s.hubs[CanonicalHub(h)] = &spent{}
	}
	return s
}

// maxAhead is how far the clock of a back end may be ahead of ours, whatever the
// leeway: a token that seems to be made later than it was could be used again after a
// restart that takes no longer than that.
const maxAhead = 5 * time.Second

// SingleCall is a call whose token is genuine and was made for it, but for its body.
// Belongs to the goroutine of the call.
type SingleCall struct {
	used     *SingleUse
	hub      string
	id       string
	bodyHash string
	leeway   time.Duration
}

// Verify is [Verifier.VerifyCall] for a hub that takes each token once. The error is
// a *Refusal. The token is not spent by it: that is for [SingleCall.Spend].
func (s *SingleUse) Verify(v *Verifier, r *http.Request, hub string, now time.Time) (*SingleCall, error) {
	// Not through the cache: the token does not come again.
	p, refusal := v.open(fromAuthorization(r.Header["Authorization"]), v.key)
	if refusal == nil {
		refusal = p.checkTimes(now, v.leeway)
	}
	if refusal == nil {
		refusal = s.check(p, v, r, now)
	}
	if refusal != nil {
		return nil, refusal
	}
	return &SingleCall{used: s, hub: CanonicalHub(hub), id: p.ID, bodyHash: string(p.BodyHash), leeway: v.leeway}, nil
}

// check judges what makes a token one for a single call.
func (s *SingleUse) check(p *payload, v *Verifier, r *http.Request, now time.Time) *Refusal {
	made := p.IssuedAt.Time
	switch {
	case len(p.ID) < minCallID || len(p.ID) > maxCallID:
		return Refuse(CallIncomplete, fmt.Sprintf("this hub takes each token once: make one for each call, with a claim jti of %d to %d bytes; docs/api.md tells how", minCallID, maxCallID))
	case made.IsZero():
		return Refuse(CallIncomplete, "this hub takes each token once: the claim iat is missing")
	case p.Method == "":
		return Refuse(CallIncomplete, "this hub takes each token once: the claim htm, the method of the call, is missing")
	case made.After(now.Add(min(v.leeway, maxAhead))):
		return Refuse(CallStale, "the token's claim iat is in the future; are the clocks right?")
	case now.Sub(made) > s.window:
		return Refuse(CallStale, "the token was made more than "+s.window.String()+" ago; make one for each call")
	case made.Before(s.started):
		// It may have been used before the restart: nobody would remember.
		return Refuse(CallStale, "the token was made before this node was started; make a new one")
	case string(p.Method) != r.Method:
		return Refuse(CallMismatch, "the token's claim htm is not the method of this call")
	case !v.audience.isCall(p.Audience, r.URL):
		return Refuse(CallMismatch, "this hub takes each token once: the token's claim aud is not the URL of this call with its query, exactly as it was sent")
	}
	return nil
}

// isCall reports whether one of the URLs is exactly that of the call.
func (a audience) isCall(urls []string, call *url.URL) bool {
	for _, u := range urls {
		path, ok := a.path(u)
		_, query, _ := strings.Cut(u, "?")
		if ok && path == call.EscapedPath() && query == call.RawQuery {
			return true
		}
	}
	return false
}

// Spend uses the token for a call with that body: the first who asks may go on, all
// others get a *Refusal. now is the time of the call.
func (c *SingleCall) Spend(body []byte, now time.Time) error {
	if c.bodyHash == "" && len(body) > 0 {
		return Refuse(CallIncomplete, "this hub takes each token once: the claim body_sha256 is missing")
	}
	if c.bodyHash != "" && subtle.ConstantTimeCompare([]byte(c.bodyHash), []byte(bodyHash(body))) == 0 {
		return Refuse(CallMismatch, "the token's claim body_sha256 is not the SHA-256 of this body in lower-case hexadecimal digits")
	}
	hub := c.used.hubs[c.hub]
	if hub == nil {
		hub = &c.used.others
	}
	// At least as long as it would be taken again, whatever iat says.
	if refusal := hub.add(print16(c.hub, c.id), now, c.used.window+c.leeway, c.used.most); refusal != nil {
		return refusal
	}
	return nil
}

// bodyHash is what the claim body_sha256 must be.
func bodyHash(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// print16 is the fingerprint under which a token is remembered. No hub's name has
// a zero byte.
func print16(hub, id string) (f [16]byte) {
	sum := sha256.Sum256([]byte(hub + "\x00" + id))
	copy(f[:], sum[:])
	return f
}

// spent are tokens that were used, some 60 bytes each. Every one is remembered for
// the same time, so that they are over in the order in which they came.
type spent struct {
	mu    sync.Mutex
	ids   map[[16]byte]struct{} // guarded by mu
	order []spentToken          // guarded by mu; the oldest first
}

type spentToken struct {
	id    [16]byte
	until time.Time // from then on nobody would take it
}

// add remembers a token for so long, unless it is known already or there is no
// room. None is forgotten early to make some.
func (s *spent) add(id [16]byte, now time.Time, keep time.Duration, most int) *Refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	over := 0
	for over < len(s.order) && now.After(s.order[over].until) {
		delete(s.ids, s.order[over].id)
		over++
	}
	s.order = s.order[over:]
	if len(s.order) == 0 {
		s.ids, s.order = nil, nil // a map never gets smaller
	}
	if _, ok := s.ids[id]; ok {
		return Refuse(CallReplayed, "the token was used before; make one for each call, also to try again")
	}
	if len(s.order) >= most {
		return Refuse(CallsFull, "as many tokens of the hub were used as can be remembered (api.max_used_tokens); try again later")
	}
	if s.ids == nil {
		s.ids = make(map[[16]byte]struct{})
	}
	s.ids[id] = struct{}{}
	s.order = append(s.order, spentToken{id, now.Add(keep)})
	return nil
}

// MintSingleCall makes a token for one call of the HTTP API: for that method, for the
// URL with its query, as it will be sent, and for that body. Every hub takes it, also
// those that do not ask for it. It is signed with HS256.
func MintSingleCall(key []byte, method, target string, body []byte, ttl time.Duration, now time.Time) (string, error) {
	if err := checkKey(key); err != nil {
		return "", err
	}
	return sign(key, map[string]any{
		"aud": target, "htm": method, "body_sha256": bodyHash(body),
		"jti": rand.Text(),
		"iat": float64(now.UnixMilli()) / 1000, // not before a node that was started in the same second
		"exp": now.Add(ttl).Unix(),
	})
}
