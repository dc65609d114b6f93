// Package cors lets pages of other origins read answers (the Fetch standard, section
// 3.2). It judges nobody: whether pages of an origin may is decided before.
package cors

import (
	"net/http"
	"strconv"
	"time"
)

// Allow lets the page that asks read the answer, also where it has shown cookies. It
// is called before the answer begins.
func Allow(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Vary", "Origin")
	if origin := r.Header.Get("Origin"); origin != "" {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
	} else {
		h.Set("Access-Control-Allow-Origin", "*")
	}
	if wanted := r.Header.Get("Access-Control-Request-Headers"); wanted != "" {
		h.Set("Access-Control-Allow-Headers", wanted)
	}
}

// What is said about caching: for a year.
const (
	CacheYear = "public, max-age=31536000"
	Year      = 365 * 24 * time.Hour
)

// Preflight answers a browser that asks whether a page may ask with a method; true
// if it was that.
func Preflight(w http.ResponseWriter, r *http.Request, method string) bool {
	if r.Method != http.MethodOptions {
		return false
	}
	Allow(w, r)
	h := w.Header()
	h.Set("Cache-Control", CacheYear)
	h.Set("Expires", time.Now().Add(Year).UTC().Format(http.TimeFormat))
	h.Set("Access-Control-Max-Age", strconv.Itoa(int(Year/time.Second)))
	h.Set("Access-Control-Allow-Methods", "OPTIONS, "+method)
	w.WriteHeader(http.StatusNoContent)
	return true
}
