package engine

import (
	"fmt"
	"testing"

	"sluice/internal/testkit"
)

// BenchmarkEcho is one event: a masked frame is read, handed to the endpoint,
// framed again and written, to a socket that costs nothing.
func BenchmarkEcho(b *testing.B) {
	for _, size := range []int{128, 4 << 10} {
		for _, frames := range []int{1, 16} {
			b.Run(fmt.Sprintf("size=%d/frames=%d", size, frames), func(b *testing.B) {
				r := newRig(Config{}, echo)
				gc := r.crowd(1)[0].gc.(*fakeConn)
				var input []byte
				for range frames {
					input = append(input, testkit.MaskedFrame(0x82, make([]byte, size))...)
				}
				b.ReportAllocs()
				b.SetBytes(int64(len(input)))
				for b.Loop() {
					gc.receive(input) // unmasked in place: the bytes differ from time to time, the work does not
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*frames), "ns/frame")
			})
		}
	}
}

// BenchmarkFanOut is one publish to 10,000 connections of a loop, up to the
// writes, to sockets that cost nothing.
func BenchmarkFanOut(b *testing.B) {
	const connections = 10_000
	for _, messages := range []int{1, 8} {
		b.Run(fmt.Sprintf("connections=%d/size=128/messages=%d", connections, messages), func(b *testing.B) {
			r := newRig(Config{}, echo)
			task := &fanOut{to: r.crowd(connections)}
			for range messages {
				task.messages = append(task.messages, sealed(128))
			}
			b.ReportAllocs()
			for b.Loop() {
				r.Post(task)
				for r.turn(); len(r.dirty) > 0; {
					r.turn()
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*connections*messages), "ns/copy")
		})
	}
}

// BenchmarkHandshake is one opening handshake and the end of its connection.
func BenchmarkHandshake(b *testing.B) {
	r := newRig(Config{}, echo)
	head := []byte(testkit.Head("/client/hubs/chat", "Sec-WebSocket-Protocol: json.sluice.v1", "Origin: https://example.com"))
	b.ReportAllocs()
	for b.Loop() {
		c, gc := r.connect()
		gc.sink = true
		gc.receive(head)
		if c.state != stateOpen {
			b.Fatal("not open")
		}
		gc.hangUp()
		r.turn()
	}
}
