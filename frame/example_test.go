package frame_test

import (
	"fmt"

	"sluice/frame"
)

// A server reads what a client sent, in whatever parts it arrives, and answers.
func Example() {
	codec := frame.NewCodec(frame.Config{}) // one per event loop
	var reader frame.Reader                 // one per connection
	defer reader.Release()

	key := [4]byte{1, 2, 3, 4}
	sent := frame.AppendMaskedFrame(nil, frame.OpText, []byte("hello"), key)
	sent = frame.AppendMaskedFrame(sent, frame.OpPing, []byte("still there?"), key)

	var answer []byte
	for _, read := range [][]byte{sent[:8], sent[8:]} {
		for {
			ev, n, err := reader.Next(codec, read)
			if err != nil {
				fmt.Println("close the connection:", err)
				return
			}
			if ev.Kind == frame.KindNone {
				break
			}
			read = read[n:]
			switch ev.Kind {
			case frame.KindMessage:
				fmt.Printf("message %q\n", ev.Payload)
				answer = codec.AppendMessage(answer, ev.Op, ev.Payload, nil)
			case frame.KindPing:
				fmt.Printf("ping %q\n", ev.Payload)
				answer = codec.AppendMessage(answer, frame.OpPong, ev.Payload, nil)
			}
		}
	}
	fmt.Printf("answer %q\n", answer)
	// Output:
	// message "hello"
	// ping "still there?"
	// answer "\x81\x05hello\x8a\fstill there?"
}

// One encoded message goes to every member of a group, compressed for those who
// negotiated it.
func ExampleMessage() {
	codec := frame.NewCodec(frame.Config{Deflate: frame.DeflateConfig{MinSize: 16}})
	cfg := frame.DeflateConfig{Enabled: true}
	deflate, answer := frame.NegotiateDeflate([]string{"permessage-deflate; client_max_window_bits"}, cfg)
	fmt.Println(answer)

	buf := make([]byte, frame.HeadRoom, 128)
	buf = append(buf, "tick tock tick tock tick tock tick tock"...)
	m := frame.Seal(frame.OpText, buf) // buf now belongs to m

	fmt.Println(len(m.Frame()), "bytes plain")
	fmt.Println(len(m.Deflated(codec, nil)), "bytes to a client without compression")
	fmt.Println(len(m.Deflated(codec, deflate)) < len(m.Frame()), "that it shrinks for one with it")
	// Output:
	// permessage-deflate; server_no_context_takeover; client_no_context_takeover
	// 41 bytes plain
	// 41 bytes to a client without compression
	// true that it shrinks for one with it
}
