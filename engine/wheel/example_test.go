package wheel_test

import (
	"fmt"

	"sluice/engine/wheel"
)

// conn stands for a connection with an idle deadline.
type conn struct {
	wheel.Node[conn] // the loop's wheel
	name             string
	lastSeen         wheel.Tick
}

// Traffic only stores the time; the deadline moves when it fires. So a busy
// connection costs one look for each idle timeout and nothing for each message.
func Example() {
	const idle wheel.Tick = 30
	now := wheel.Tick(0)
	w := wheel.New[conn](4096, now)

	busy, quiet := &conn{name: "busy"}, &conn{name: "quiet"}
	w.Arm(busy, now+idle)
	w.Arm(quiet, now+idle)

	check := func(c *conn) {
		if due := c.lastSeen + idle; due > now {
			w.Arm(c, due)
			return
		}
		fmt.Println(now, "close", c.name)
	}
	for now = 1; now <= 60; now++ {
		if now == 20 {
			busy.lastSeen = now
		}
		w.Advance(now, check)
	}
	// Output:
	// 30 close quiet
	// 50 close busy
}
