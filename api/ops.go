package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/pprof"
	"strconv"
)

const (
	textPlain = "text/plain; charset=utf-8"

	// prometheusText is the content type of the Prometheus text format.
	prometheusText = "text/plain; version=0.0.4; charset=utf-8"
)

// Ops is what the operations pages show. Its functions are called once for each
// request, from any goroutine.
type Ops struct {
	// Healthy tells whether the process should be left alone, and if not why.
	Healthy func() (ok bool, why string)
	// Ready tells whether new clients should be sent here, and if not why.
	Ready func() (ok bool, why string)
	// WriteMetrics writes the page in the Prometheus text format.
	WriteMetrics func(io.Writer)
	// Pprof serves Go's profiles too.
	Pprof bool
	// SlowConsumers returns the connections for which most waits to be sent, the
	// worst first, at most n.
	SlowConsumers func(ctx context.Context, n int) []SlowConsumer
	// Data is the data plane, Node the calls about the node; nil for none.
	Data, Node http.Handler
	// Login says who may see the pages; nil for everybody.
	Login Login
}

// Login guards pages. Any goroutine.
type Login interface {
	// Pages returns those of the login itself, below /oauth/, nil for none.
	Pages() http.Handler
	// Protect returns a page for those who are logged in.
	Protect(page http.Handler) http.Handler
	// ProtectMetrics returns a page for those and for scrapers.
	ProtectMetrics(page http.Handler) http.Handler
}

// open is the Login of those who have none.
type open struct{}

func (open) Pages() http.Handler                           { return nil }
func (open) Protect(page http.Handler) http.Handler        { return page }
func (open) ProtectMetrics(page http.Handler) http.Handler { return page }

// SlowConsumer is a connection for which bytes wait.
type SlowConsumer struct {
	Remote      string            `json:"remote"`
	QueuedBytes int               `json:"queuedBytes"`
	AgeSeconds  float64           `json:"ageSeconds"` // of the oldest of these bytes, at most
	About       map[string]string `json:"about"`      // hub, connection and what else the log would say
}

// How many slow consumers are listed, usually and at most.
const (
	usualSlowConsumers = 20
	maxSlowConsumers   = 1000
)

// NewOps returns the operations pages:
//
//	/               a list of the others
//	/healthz        200, or 503 and why: restart the process while this fails
//	/readyz         200, or 503 and why: send no new clients while this fails
//	/metrics        the Prometheus text format
//	/slow-consumers the connections for which most waits, as JSON; ?n= how many
//	/debug/pprof/   Go's profiles, if they are switched on
//	/api/           the data plane, if there is one
//	/oauth/         the login, if there is one
//
// None changes anything but the data plane, which asks for tokens of its own. The
// Login guards all but that and what probes ask for, /healthz and /readyz.
func NewOps(o Ops) http.Handler {
	guard := o.Login
	if guard == nil {
		guard = open{}
	}
	mux := http.NewServeMux()
	mux.Handle("/healthz", get(func(w http.ResponseWriter) { verdict(w, o.Healthy, "ok") }))
	mux.Handle("/readyz", get(func(w http.ResponseWriter) { verdict(w, o.Ready, "ready") }))
	mux.Handle("/metrics", guard.ProtectMetrics(get(func(w http.ResponseWriter) {
		var page bytes.Buffer
		o.WriteMetrics(&page)
		write(w, http.StatusOK, prometheusText, page.String())
	})))
	mux.Handle("GET /slow-consumers", guard.Protect(http.HandlerFunc(o.slowConsumers)))
	pages := "/healthz\n/readyz\n/metrics\n/slow-consumers\n"
	if o.Pprof {
		pages += "/debug/pprof/\n"
		mux.Handle("/debug/pprof/", guard.Protect(profiles()))
	}
	if o.Data != nil {
		pages += "/api/\n"
		mux.Handle("/api/", o.Data)
	}
	if o.Node != nil {
		mux.Handle("/api/node/", o.Node)
	}
	if login := guard.Pages(); login != nil {
		pages += "/oauth/logout\n"
		mux.Handle("/oauth/", login)
	}
	mux.Handle("/{$}", guard.Protect(get(func(w http.ResponseWriter) { write(w, http.StatusOK, textPlain, pages) })))
	mux.Handle("/", guard.Protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		write(w, http.StatusNotFound, textPlain, "there is no such page; this listener has:\n"+pages)
	})))
	return mux
}

func (o *Ops) slowConsumers(w http.ResponseWriter, r *http.Request) {
	n := usualSlowConsumers
	if text := r.URL.Query().Get("n"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 || n > maxSlowConsumers {
			write(w, http.StatusBadRequest, textPlain, "n must be 1 to "+strconv.Itoa(maxSlowConsumers)+"\n")
			return
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
	defer cancel()
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, map[string]any{"value": o.SlowConsumers(ctx, n)})
}

// profiles returns the pages of the profiles. Importing net/http/pprof puts them on
// the default mux as well, which nothing here serves. The one of the command line is
// left out: it shows keys that were given there.
func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// verdict answers 200 with a word, or 503 with the reason.
func verdict(w http.ResponseWriter, ask func() (bool, string), yes string) {
	if ok, why := ask(); !ok {
		write(w, http.StatusServiceUnavailable, textPlain, why+"\n")
		return
	}
	write(w, http.StatusOK, textPlain, yes+"\n")
}

// get answers any method but GET and HEAD with 405. The body of a HEAD is left
// out by net/http.
func get(page func(http.ResponseWriter)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			write(w, http.StatusMethodNotAllowed, textPlain, "this page takes GET and HEAD only\n")
			return
		}
		page(w)
	})
}

// write answers with one whole page.
func write(w http.ResponseWriter, status int, contentType, page string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(page)))
	h.Set("Cache-Control", "no-store") // a cached "ready" sends clients to a node that drains
	w.WriteHeader(status)
	_, _ = io.WriteString(w, page) // a client that has gone needs no page
}
