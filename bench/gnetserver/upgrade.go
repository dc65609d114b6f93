package gnetserver

import (
	"bytes"

	"github.com/panjf2000/gnet/v2"
)

// upgrader answers every request head with the one right answer to the key that
// the load generator sends, and whatever comes then with a close frame and the
// end: what a handshake costs without reading it.
type upgrader struct{ base }

const (
	// upgraded answers the sample key of RFC 6455 1.3.
	upgraded = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
	goodbye = "\x88\x02\x03\xe8" // close, 1000
)

// OnTraffic implements gnet.EventHandler.
func (*upgrader) OnTraffic(c gnet.Conn) gnet.Action {
	if c.Context() != nil {
		_, _ = c.Write([]byte(goodbye)) // and closed, whether it went or not
		return gnet.Close
	}
	p, err := c.Peek(-1)
	if err != nil {
		return gnet.Close
	}
	if !bytes.HasSuffix(p, []byte("\r\n\r\n")) {
		return gnet.None // not whole yet
	}
	c.SetContext(upgraded)
	if _, err := c.Discard(len(p)); err != nil {
		return gnet.Close
	}
	if _, err := c.Write([]byte(upgraded)); err != nil {
		return gnet.Close
	}
	return gnet.None
}
