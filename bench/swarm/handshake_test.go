package swarm

import (
	"bufio"
	"bytes"
	"net/http"
	"testing"
)

func TestRequest(t *testing.T) {
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(Request("host:1", "/p?q=r", "proto", "tok"))))
	if err != nil {
		t.Fatal(err)
	}
	if req.Host != "host:1" || req.RequestURI != "/p?q=r" || req.Header.Get("Sec-WebSocket-Protocol") != "proto" ||
		req.Header.Get("Authorization") != "Bearer tok" || req.Header.Get("Sec-WebSocket-Key") != handshakeKey {
		t.Errorf("got %+v", req)
	}
}

// FuzzUpgrade: the answer to a handshake may be anything, and cut anywhere.
func FuzzUpgrade(f *testing.F) {
	f.Add([]byte("HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: "+handshakeAccept+"\r\n\r\nrest"), 20)
	f.Add([]byte("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n\r\n"), 3)
	f.Add([]byte("HTTP/1.1 101\r\n\r\n"), 14)
	f.Add([]byte("\r\n\r\n"), 1)
	f.Fuzz(func(t *testing.T, answer []byte, cut int) {
		if cut < 0 || cut > len(answer) || len(answer) > maxHead {
			return
		}
		read := func(pieces ...[]byte) (rest string, s state) {
			c := &Conn{plan: Plan{Role: parrot{}}, loop: &Loop{counts: newCounts(), swarm: new(Swarm)}, fd: -1, state: upgrading}
			for _, p := range pieces {
				if c.state == upgrading {
					p = c.upgrade(p)
				}
				if c.state == opened {
					rest += string(p)
				}
			}
			return rest, c.state
		}
		rest, state := read(answer)
		if cutRest, cutState := read(answer[:cut], answer[cut:]); cutRest != rest || cutState != state {
			t.Errorf("%q cut at %d: %q %v, whole: %q %v", answer, cut, cutRest, cutState, rest, state)
		}
	})
}
