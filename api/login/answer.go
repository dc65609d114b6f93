package login

import (
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
)

// private keeps an answer out of caches and out of the addresses that the next
// page sees: the one of the callback has a code in it.
func private(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Content-Security-Policy", "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
}

// say answers with a text.
func (l *Login) say(w http.ResponseWriter, status int, text string) {
	l.answer(w, status, "text/plain; charset=utf-8", text)
}

func (l *Login) answer(w http.ResponseWriter, status int, contentType, body string) {
	private(w.Header())
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // a client that has gone needs no page
}

// fail answers a login that has come to nothing, and counts it.
func (l *Login) fail(w http.ResponseWriter, status int, result, text string) {
	l.opts.Observe(result)
	l.say(w, status, text)
}

// redirect sends a browser to an address that is not of its making.
func (l *Login) redirect(w http.ResponseWriter, r *http.Request, status int, address string) {
	private(w.Header())
	http.Redirect(w, r, address, status)
}

// awayLog writes a line when the provider goes away and one when it is back,
// however often somebody tries to log in meanwhile.
type awayLog struct {
	log *slog.Logger

	mu   sync.Mutex // guards away
	away bool
}

func (a *awayLog) begin(issuer string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.away {
		text := err.Error()
		a.log.Error("nobody can log in to the operations pages", "issuer", issuer, "error", text[:min(len(text), maxError)])
	}
	a.away = true
}

func (a *awayLog) over() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.away {
		a.log.Info("logins to the operations pages are possible again")
	}
	a.away = false
}
