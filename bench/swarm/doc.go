// Package swarm is a WebSocket client for very many connections: a few event
// loops, no goroutine and no idle buffer per connection.
//
// It owns sockets, opening handshakes, frames, pings and closes, and counts what
// went wrong. It does not know what the connections are for: a Role does, one
// per connection, called on the loop of that connection.
//
// A Swarm may be used from any goroutine. A Loop, its Conns and their Roles
// belong to the loop's goroutine; Swarm.Each gets other code there.
//
// It runs on Linux. Elsewhere New returns errors.ErrUnsupported.
package swarm
