package engine_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"sluice/engine"
	"sluice/frame"
	"sluice/internal/metrics"
)

// shouter lets everybody in and sends every message back twice.
type shouter struct{}

func (shouter) Upgrade(*engine.Conn, *http.Request) (engine.Acceptance, *engine.Refusal) {
	return engine.Acceptance{Open: func(c *engine.Conn) (engine.Endpoint, error) { return shout{c}, nil }}, nil
}

type shout struct{ conn *engine.Conn }

func (s shout) Message(op frame.Opcode, payload []byte) {
	s.conn.Write(op, payload)
	s.conn.Write(op, payload)
}

func (shout) Closed() {}

func Example() {
	e := engine.New(engine.Config{Loops: 1}, metrics.New(), slog.New(slog.DiscardHandler))
	if err := e.Start(shouter{}); err != nil {
		panic(err)
	}
	ln, err := engine.Listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	e.Accept(ln, engine.Entrance{})

	talk(ln.Addr().String())

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fmt.Println("shutdown:", e.Shutdown(ctx, time.Second))
	// Output:
	// 101 Switching Protocols
	// hello
	// hello
	// shutdown: <nil>
}

// talk is a client: it says hello once and prints what it hears.
func talk(addr string) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	conn.Write(frame.AppendMaskedFrame(nil, frame.OpText, []byte("hello"), [4]byte{1, 2, 3, 4}))

	answers := bufio.NewReader(conn)
	resp, err := http.ReadResponse(answers, nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(resp.Status)
	for range 2 {
		var f [2 + len("hello")]byte
		for i := range f {
			if f[i], err = answers.ReadByte(); err != nil {
				panic(err)
			}
		}
		fmt.Println(string(f[2:]))
	}
}
