package hub_test

import (
	"fmt"
	"strings"
	"time"

	"sluice/auth"
	"sluice/frame"
	"sluice/hub"
	"sluice/hub/wire"
)

// loop is the least that a Loop can be. There is one, so nobody posts to it.
type loop struct{}

func (loop) Index() int         { return 0 }
func (loop) Post(hub.Task) bool { return false }

// screen is a link that prints.
type screen string

func (s screen) Send(m *frame.Message) bool {
	text := string(m.Payload())
	if strings.Contains(text, "connectionId") {
		text = "connected" // its id is random
	}
	fmt.Printf("to %s: %s\n", s, text)
	return true
}

func (s screen) Write(op frame.Opcode, payload []byte) bool {
	fmt.Printf("to %s: %s\n", s, payload)
	return true
}

func (s screen) Expire(time.Time) {}

func (s screen) Close(code frame.CloseCode, reason string) {
	fmt.Printf("close %s: %d %s\n", s, code, reason)
}

func Example() {
	node := hub.New(hub.Config{CreateOnFirstUse: true}, 1)
	chat, _ := node.Hub("chat")

	ann, _ := chat.Open(loop{}, screen("ann"), auth.Identity{User: "ann", Permissions: everything}, wire.JSONv1{})
	ann.Receive(true, []byte(`{"type":"joinGroup","group":"news","ackId":1}`))
	ann.Receive(true, []byte(`{"type":"sendToGroup","group":"news","data":"hello"}`))
	ann.Closed()

	// Output:
	// to ann: connected
	// to ann: {"type":"ack","ackId":1,"success":true}
	// to ann: {"type":"message","from":"group","group":"news","fromUserId":"ann","dataType":"json","data":"hello"}
}
