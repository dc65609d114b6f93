// Package access judges clients by their addresses: rules say which may come at
// all, and limits how often and how many of one address.
//
// It knows no sockets and no HTTP: the engine asks it when a socket comes, the
// gateway when an opening handshake does. Everything here may be called by any
// goroutine, event loops included: nothing waits for more than a short lock.
package access

import (
	"net/http"
	"time"
)

// Reason says why an address was refused. Its value is a metric label; the set is
// closed, see [Reasons].
type Reason string

const (
	Denied      Reason = "address_denied"      // by the rules
	Banned      Reason = "address_banned"      // after too many failures
	Rate        Reason = "address_rate"        // too many handshakes in a short time
	Pending     Reason = "address_pending"     // too many sockets that are not connections yet
	Connections Reason = "address_connections" // too many connections
	HTTP        Reason = "address_http"        // too many connections that net/http serves
	NodeRate    Reason = "node_rate"           // too many handshakes of all addresses
)

// Reasons returns every Reason, so that a metric can show each from the start.
func Reasons() []Reason {
	return []Reason{Denied, Banned, Rate, Pending, Connections, HTTP, NodeRate}
}

// Refusal is the answer to a client that is refused.
type Refusal struct {
	Reason     Reason
	Status     int           // of HTTP
	Detail     string        // one sentence for the client's developer
	RetryAfter time.Duration // when it may be worth to come again; 0 for never
}

func (r *Refusal) Error() string { return string(r.Reason) + ": " + r.Detail }

var (
	denied   = &Refusal{Denied, http.StatusForbidden, "clients of this address may not connect", 0}
	tooFast  = &Refusal{Rate, http.StatusTooManyRequests, "too many opening handshakes from this address", time.Second}
	nodeRate = &Refusal{NodeRate, http.StatusServiceUnavailable, "too many opening handshakes at once", time.Second}
)

// TooMany returns the refusal of a client whose address has as many connections as
// it may.
func TooMany(reason Reason) *Refusal {
	return &Refusal{reason, http.StatusTooManyRequests, "there are too many connections from this address", 10 * time.Second}
}
