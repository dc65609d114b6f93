//go:build linux

package swarm

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"testing"

	"sluice/frame"
)

const upgraded = "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: " + handshakeAccept + "\r\n\r\n"

// serve accepts connections and runs f on a goroutine for each.
func serve(t *testing.T, f func(c net.Conn)) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c)
			}()
		}
	}()
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

// echoServer is the plainest WebSocket server: it echoes messages and answers
// pings and closes. hello goes out with the answer to the handshake.
func echoServer(hello ...byte) func(net.Conn) {
	return func(c net.Conn) {
		r := bufio.NewReader(c)
		if _, err := http.ReadRequest(r); err != nil {
			return
		}
		c.Write(append([]byte(upgraded), hello...))
		codec := frame.NewCodec(frame.Config{})
		var reader frame.Reader
		defer reader.Release()
		buf := make([]byte, 4096)
		for {
			n, err := r.Read(buf)
			if err != nil {
				return
			}
			for p := buf[:n]; ; {
				ev, n, err := reader.Next(codec, p)
				if err != nil {
					fmt.Fprintln(c, err)
					return
				}
				p = p[n:]
				switch ev.Kind {
				case frame.KindMessage:
					c.Write(frame.AppendFrame(nil, ev.Op, ev.Payload))
				case frame.KindPong:
					c.Write(frame.AppendFrame(nil, frame.OpText, append([]byte("pong "), ev.Payload...)))
				case frame.KindClose:
					c.Write(frame.AppendClose(nil, ev.Code, ""))
					return
				}
				if ev.Kind == frame.KindNone {
					break
				}
			}
		}
	}
}
