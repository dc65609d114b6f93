package login

import (
	"crypto/rand"
	"net/http"
	"sync"
	"time"
)

// session is what the cookie of somebody who is logged in holds.
type session struct {
	ID      string `json:"id"`
	Subject string `json:"sub"`
	Ends    int64  `json:"end"` // Unix time in seconds
}

// maxEnded bounds the sessions that are remembered as ended before their time.
const maxEnded = 4096

// sessions seals and opens sessions. They are in the cookies alone, so that their
// number costs nothing; what is kept here are those that were ended by a logout.
// Safe for concurrent use.
type sessions struct {
	life time.Duration

	mu     sync.Mutex // guards what follows
	sealer sealer
	ended  map[string]int64 // IDs, until the session would have ended anyway
}

func newSessions(life time.Duration) *sessions {
	return &sessions{life: life, sealer: newSealer(), ended: make(map[string]int64)}
}

// begin returns the text of a new session.
func (s *sessions) begin(subject string, now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sealer.seal(session{rand.Text(), subject, now.Add(s.life).Unix()})
}

// find returns the session of a text, if there is one that has not ended.
func (s *sessions) find(text string, now time.Time) (found session, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sealer.open(text, &found) != nil || now.Unix() >= found.Ends {
		return session{}, false
	}
	if _, ended := s.ended[found.ID]; ended {
		return session{}, false
	}
	return found, true
}

// end makes a session no longer good. When too many are remembered, a new key ends
// all: everybody has to log in again, and nobody who logged out is in.
func (s *sessions) end(one session, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ended) >= maxEnded {
		for id, ends := range s.ended {
			if now.Unix() >= ends {
				delete(s.ended, id)
			}
		}
	}
	if len(s.ended) >= maxEnded {
		s.sealer = newSealer()
		clear(s.ended)
		return
	}
	s.ended[one.ID] = one.Ends
}

// session returns the session of a request.
func (l *Login) session(r *http.Request) (session, bool) {
	for _, c := range r.CookiesNamed(l.sessionCookie) {
		if s, ok := l.sessions.find(c.Value, l.now()); ok {
			return s, true
		}
	}
	return session{}, false
}

// cookie returns a cookie for this host alone that pages of others cannot use and
// no script can read. A life of 0 removes it.
func (l *Login) cookie(name, value string, life time.Duration) *http.Cookie {
	c := &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(life / time.Second),
		HttpOnly: true, Secure: l.secure,
		SameSite: http.SameSiteLaxMode, // Strict would hide it from the way back from the provider
	}
	if life == 0 {
		c.MaxAge = -1
	}
	return c
}

// cookieName returns a name that browsers take over https only, and from no other
// host (RFC 6265bis section 4.1.3.2), where there is https.
func (l *Login) cookieName(name string) string {
	if l.secure {
		return "__Host-" + name
	}
	return name
}
