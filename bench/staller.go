package bench

import (
	"sluice/bench/swarm"
	"sluice/frame"
)

// staller is a subscriber that reads nothing once it is connected. What becomes of
// it, it does not notice.
type staller struct{}

// Open implements swarm.Role.
func (staller) Open(*swarm.Conn) {}

// Message implements swarm.Role: the first one is `connected`.
func (staller) Message(c *swarm.Conn, _ frame.Opcode, _ []byte) {
	c.Ready()
	c.Pause(true)
}

// Closed implements swarm.Role.
func (staller) Closed(*swarm.Conn, swarm.End) {}
