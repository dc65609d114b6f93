// Package login lets operators log in at an identity provider to see the
// operations pages: the authorization-code flow of OAuth 2.0 with PKCE (RFC 6749,
// RFC 7636), OpenID Connect for who it is.
//
// It keeps no list of who is logged in: sessions and logins under way are in the
// browser, sealed with keys that this process made and that end with it. It knows
// no page: its caller says which ask for a session. Handlers run on goroutines of
// net/http and may block for as long as the provider does.
package login

import (
	"context"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sluice/internal/rate"
)

// The pages of the login.
const (
	base         = "/oauth"
	startPath    = base + "/login"
	callbackPath = base + "/callback"
	logoutPath   = base + "/logout"
)

// Options is what a Login needs beside its configuration.
type Options struct {
	// Observe hears of what came of each login, one of Results, on any goroutine.
	// Default nobody.
	Observe func(result string)
	// Log gets a line for each login that the provider has vouched for, and when
	// the provider goes away and comes back. Default none.
	Log *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// What comes of logins.
const (
	resultOK        = "ok"
	resultForbidden = "forbidden" // the provider knows the user, and allow does not
	resultState     = "state"     // the callback is of no login of that browser, or came too late
	resultRefused   = "refused"   // the provider said no, or what it sent is no proof
	resultAway      = "provider_unavailable"
	resultBusy      = "busy" // too many at once
)

// Results are what comes of logins.
func Results() []string {
	return []string{resultOK, resultForbidden, resultState, resultRefused, resultAway, resultBusy}
}

// maxUnderway bounds the requests that wait for the provider.
const maxUnderway = 32

// underwayTimeout bounds how long one does: discovery, code and keys together.
const underwayTimeout = 20 * time.Second

// Login guards pages. It is safe for concurrent use.
type Login struct {
	// Static after New.
	cfg           Config
	opts          Options
	now           func() time.Time
	provider      *provider
	secure        bool // browsers come by https
	sessionCookie string
	browserCookie string
	states        sealer
	crossOrigin   *http.CrossOriginProtection

	sessions *sessions
	underway chan struct{} // as many as wait for the provider
	away     awayLog
	lines    *rate.Limiter // of the log, about logins that were not confirmed
}

// New returns a login. The error says what Validate would have.
func New(cfg Config, o Options) (*Login, error) {
	cfg, o = cfg.WithDefaults(), o.withDefaults()
	l := &Login{
		opts: o, now: o.Now,
		states:      newSealer(),
		crossOrigin: http.NewCrossOriginProtection(),
		sessions:    newSessions(cfg.SessionLife),
		underway:    make(chan struct{}, maxUnderway),
		away:        awayLog{log: o.Log},
		lines:       rate.New(1),
	}
	if cfg.Enabled() {
		var err error
		if cfg.URL, err = origin(cfg.URL); err != nil {
			return nil, fmt.Errorf("url: %w", err)
		}
		// Behind a proxy the Host may be another than the one browsers see.
		if err := l.crossOrigin.AddTrustedOrigin(cfg.URL); err != nil {
			return nil, fmt.Errorf("url: %w", err)
		}
	}
	l.cfg, l.secure = cfg, strings.HasPrefix(cfg.URL, "https://")
	l.provider = newProvider(cfg, o.Now)
	l.sessionCookie, l.browserCookie = l.cookieName("sluice_session"), l.cookieName("sluice_login")
	return l, nil
}

func (o Options) withDefaults() Options {
	if o.Observe == nil {
		o.Observe = func(string) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Pages returns the pages of the login itself, all below /oauth/, nil where nobody
// has to log in.
func (l *Login) Pages() http.Handler {
	if !l.cfg.Enabled() {
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+startPath, l.start)
	mux.HandleFunc("GET "+callbackPath, l.callback)
	mux.HandleFunc("GET "+logoutPath, l.askLogout)
	mux.HandleFunc("POST "+logoutPath, l.logout)
	return mux
}

// Protect returns the page for those who are logged in. A browser that is not is
// sent to the provider, others get 401.
func (l *Login) Protect(page http.Handler) http.Handler {
	if !l.cfg.Enabled() {
		return page
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := l.session(r); ok {
			page.ServeHTTP(w, r)
			return
		}
		l.demand(w, r, l.challenge(), "this page needs a login; open it in a browser\n")
	})
}

// ProtectMetrics returns the page for scrapers: open, unless there is a token for
// it; then for those who have that, or a session.
func (l *Login) ProtectMetrics(page http.Handler) http.Handler {
	if l.cfg.MetricsToken == "" {
		return page
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := l.session(r); ok || l.hasToken(r) {
			page.ServeHTTP(w, r)
			return
		}
		l.demand(w, r, `Bearer realm="metrics"`, "this page needs the metrics token\n")
	})
}

func (l *Login) hasToken(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Bearer") && equal(strings.TrimSpace(token), string(l.cfg.MetricsToken))
}

// demand answers a request that lacks a session: browsers are sent to log in,
// others get the challenge.
func (l *Login) demand(w http.ResponseWriter, r *http.Request, challenge, text string) {
	if l.cfg.Enabled() && isBrowser(r) {
		// To the host of the configuration: cookies of another would be lost on
		// the way back.
		redirect(w, r, http.StatusFound, l.cfg.URL+startPath+"?to="+url.QueryEscape(localPath(r.URL.RequestURI())))
		return
	}
	w.Header().Set("WWW-Authenticate", challenge)
	say(w, http.StatusUnauthorized, text)
}

// challenge is of draft-broyer-http-cookie-auth: there is no registered scheme for
// what only a browser can do, and RFC 9110 section 15.5.2 wants one.
func (l *Login) challenge() string {
	return `Cookie realm="operations pages", form-action="` + startPath + `", cookie-name=` + l.sessionCookie
}

// isBrowser tells somebody who can log in from a program.
func isBrowser(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		strings.Contains(strings.Join(r.Header.Values("Accept"), ","), "text/html")
}

// equal compares secrets, in a time that does not depend on what they have in
// common.
func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// enter takes a place among those who wait for the provider, or answers 503.
func (l *Login) enter(w http.ResponseWriter, r *http.Request) (ctx context.Context, leave func(), ok bool) {
	select {
	case l.underway <- struct{}{}:
	default:
		l.fail(w, http.StatusServiceUnavailable, resultBusy, "too many logins at once; try again\n")
		return nil, nil, false
	}
	ctx, cancel := context.WithTimeout(r.Context(), underwayTimeout)
	return ctx, func() { cancel(); <-l.underway }, true
}
