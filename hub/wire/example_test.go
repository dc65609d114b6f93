package wire_test

import (
	"fmt"

	"sluice/hub/wire"
)

// A client asks to send to a group; the members get the message and the client
// an acknowledgement.
func Example() {
	g, subprotocol, _ := wire.Select([]string{"bearer.ZXlK", "json.sluice.v1"}, true)
	fmt.Println(subprotocol)

	var d wire.Decoder
	var req wire.Request
	msg := []byte(`{"type":"sendToGroup","group":"news","dataType":"text","data":"hello","ackId":1}`)
	if err := g.Decode(&d, true, msg, &req); err != nil {
		fmt.Println(err.(*wire.Error).Code, err)
		return
	}
	m := &wire.Message{Group: string(req.Group), FromUser: "alice", DataType: req.DataType, Data: req.Data}
	fmt.Printf("%s\n", g.AppendMessage(nil, m))
	if req.HasAck {
		fmt.Printf("%s\n", g.AppendAck(nil, req.AckID, "", ""))
	}

	// Output:
	// json.sluice.v1
	// {"type":"message","from":"group","group":"news","fromUserId":"alice","dataType":"text","data":"hello"}
	// {"type":"ack","ackId":1,"success":true}
}
