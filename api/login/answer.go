package login

import (
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
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
func say(w http.ResponseWriter, status int, text string) {
	private(w.Header())
	send(w, status, "text/plain; charset=utf-8", text)
}

// send writes an answer.
func send(w http.ResponseWriter, status int, contentType, body string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // a client that has gone needs no page
}

// fail answers a login that has come to nothing, and counts it.
func (l *Login) fail(w http.ResponseWriter, status int, result, text string) {
	l.opts.Observe(result)
	say(w, status, text)
}

// redirect sends a browser to an address that is not of its making.
func redirect(w http.ResponseWriter, r *http.Request, status int, address string) {
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
		a.log.Error("nobody can log in to the operations pages", "issuer", issuer, "error", brief(err))
	}
	a.away = true
}

// brief returns the beginning of an error: the libraries quote whole answers.
func brief(err error) string {
	text := err.Error()
	return strings.ToValidUTF8(text[:min(len(text), maxError)], "")
}

func (a *awayLog) over() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.away {
		a.log.Info("logins to the operations pages are possible again")
	}
	a.away = false
}
