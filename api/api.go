// Package api serves HTTP beside the client connections: the operations pages,
// and the data plane with which back ends use the hubs.
//
// It knows no engine and no socket: what it shows comes from functions that its
// caller gives it, and a hub is a [Backend]. Handlers run on goroutines of
// net/http and may block.
package api

import (
	"net/http"
	"time"
)

// Server returns a server for a handler, with limits that a slow or hostile
// client cannot pass. The caller serves on it and shuts it down.
func Server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      2 * time.Minute, // a CPU profile of a minute, over a bad line
		IdleTimeout:       2 * time.Minute, // longer than any usual scrape interval
		MaxHeaderBytes:    8 << 10,
	}
}
