// Package api serves HTTP beside the client connections: the operations pages,
// and the data plane with which back ends use the hubs.
//
// It knows no engine and no socket: what it shows comes from functions that its
// caller gives it, and a hub is a [Backend]. Handlers run on goroutines of
// net/http and may block.
package api
