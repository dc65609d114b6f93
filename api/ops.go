package api

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
)

const (
	textPlain = "text/plain; charset=utf-8"

	// prometheusText is the content type of the Prometheus text format.
	prometheusText = "text/plain; version=0.0.4; charset=utf-8"
)

// NewOps returns the operations pages:
//
//	/healthz   200 as long as the process serves: restart it when this fails
//	/readyz    200, or 503 and why: send no new clients while this fails
//	/metrics   the Prometheus text format
//
// They ask for no credentials and change nothing. ready and writeMetrics are
// called once per request, from any goroutine.
func NewOps(ready func() (ok bool, why string), writeMetrics func(io.Writer)) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/healthz", get(func(w http.ResponseWriter) {
		write(w, http.StatusOK, textPlain, "ok\n")
	}))
	mux.Handle("/readyz", get(func(w http.ResponseWriter) {
		if ok, why := ready(); !ok {
			write(w, http.StatusServiceUnavailable, textPlain, why+"\n")
			return
		}
		write(w, http.StatusOK, textPlain, "ready\n")
	}))
	mux.Handle("/metrics", get(func(w http.ResponseWriter) {
		var page bytes.Buffer
		writeMetrics(&page)
		write(w, http.StatusOK, prometheusText, page.String())
	}))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		write(w, http.StatusNotFound, textPlain, "there is no such page; this listener has /healthz, /readyz and /metrics\n")
	})
	return mux
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
