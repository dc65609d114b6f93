package login

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// stateLife is how long somebody may take to log in at the provider.
const stateLife = 10 * time.Minute

// state is a login under way, sealed in the parameter of that name (RFC 6749
// section 4.1.1), which goes to the provider and comes back. It needs no memory
// here, and each tab of a browser has its own.
type state struct {
	Browser  string `json:"b"` // the hash of the cookie of the browser that began it
	Nonce    string `json:"n"`
	Verifier string `json:"v"` // of PKCE
	To       string `json:"t"`
	Ends     int64  `json:"e"` // Unix time in seconds
}

// start sends a browser to the provider.
func (l *Login) start(w http.ResponseWriter, r *http.Request) {
	to := localPath(r.URL.Query().Get("to"))
	if _, ok := l.session(r); ok {
		redirect(w, r, http.StatusSeeOther, l.cfg.URL+to)
		return
	}
	ctx, leave, ok := l.enter(w, r)
	if !ok {
		return
	}
	defer leave()
	f, err := l.provider.discover(ctx)
	if err != nil {
		l.failBy(w, err)
		return
	}
	l.away.over()
	s := state{
		Browser:  hash(l.browser(w, r)),
		Nonce:    rand.Text(),
		Verifier: oauth2.GenerateVerifier(),
		To:       to,
		Ends:     l.now().Add(stateLife).Unix(),
	}
	redirect(w, r, http.StatusFound, f.oauth.AuthCodeURL(l.states.seal(s), oidc.Nonce(s.Nonce), oauth2.S256ChallengeOption(s.Verifier)))
}

// browser returns what tells this browser from others, which it remembers as long
// as a login may take.
func (l *Login) browser(w http.ResponseWriter, r *http.Request) string {
	id := rand.Text()
	if c, err := r.Cookie(l.browserCookie); err == nil && len(c.Value) == len(id) {
		id = c.Value // another tab is about to log in too
	}
	http.SetCookie(w, l.cookie(l.browserCookie, id, stateLife))
	return id
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// callback is where the provider sends the browser back to.
func (l *Login) callback(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	s, ok := l.state(r, query.Get("state"))
	switch issuer := query.Get("iss"); {
	case !ok:
		l.fail(w, http.StatusBadRequest, resultState, "this login was not begun in this browser, or it took too long; go to "+startPath+" to begin again\n")
		return
	case issuer != "" && issuer != l.cfg.Issuer: // RFC 9207
		l.fail(w, http.StatusBadRequest, resultRefused, "the answer is of another identity provider\n")
		return
	case query.Get("error") != "":
		l.fail(w, http.StatusForbidden, resultRefused, "the identity provider refuses the login: "+plain(query.Get("error"))+"\n")
		return
	case query.Get("code") == "":
		l.fail(w, http.StatusBadRequest, resultRefused, "the identity provider sent no code\n")
		return
	}
	ctx, leave, ok := l.enter(w, r)
	if !ok {
		return
	}
	defer leave()
	u, err := l.provider.redeem(ctx, query.Get("code"), s)
	if err != nil {
		l.failBy(w, err)
		return
	}
	l.away.over()
	l.admit(w, r, u, s.To)
}

// state returns the login under way of a callback, if this browser began it.
func (l *Login) state(r *http.Request, text string) (s state, ok bool) {
	cookie, err := r.Cookie(l.browserCookie)
	if err != nil || l.states.open(text, &s) != nil {
		return state{}, false
	}
	return s, equal(s.Browser, hash(cookie.Value)) && l.now().Unix() < s.Ends
}

// admit begins the session of a user, if it is one of those who may have one.
func (l *Login) admit(w http.ResponseWriter, r *http.Request, u user, to string) {
	if !l.cfg.Allow.permits(u) {
		l.opts.Log.Warn("login for the operations pages refused", "subject", u.subject, "remote", r.RemoteAddr)
		l.fail(w, http.StatusForbidden, resultForbidden, "you are logged in at the identity provider, but not among those who may see these pages\n")
		return
	}
	l.opts.Log.Info("login for the operations pages", "subject", u.subject, "remote", r.RemoteAddr)
	http.SetCookie(w, l.cookie(l.sessionCookie, l.sessions.begin(u.subject, l.now()), l.cfg.SessionLife))
	l.opts.Observe(resultOK)
	redirect(w, r, http.StatusSeeOther, l.cfg.URL+to)
}

// failBy answers a login that the provider did not vouch for.
func (l *Login) failBy(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, context.Canceled): // nobody is there to be answered
		return
	case errors.Is(err, errAway):
		l.away.begin(l.cfg.Issuer, err)
		w.Header().Set("Retry-After", "5")
		l.fail(w, http.StatusServiceUnavailable, resultAway, "the identity provider cannot be reached, so nobody can log in; try again\n")
		return
	}
	if l.lines.Take(l.now().UnixNano(), 1) { // strangers get here with made-up codes
		l.opts.Log.Warn("the identity provider did not confirm a login for the operations pages", "error", brief(err))
	}
	l.fail(w, http.StatusForbidden, resultRefused, "the identity provider did not confirm the login; go to "+startPath+" to begin again\n")
}
