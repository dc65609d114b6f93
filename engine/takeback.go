package engine

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"time"
)

// A proxy keeps its connections and sends over each of them whatever comes next:
// a call of the API, which takes the connection off its loop, and then somebody's
// opening handshake. That one goes back to a loop.

// TakeBack is an http.Handler for what is asked on connections of HTTPListener and
// no HTTPHandler would have claimed, such as an opening handshake: the connection
// goes to a loop, which answers the request as if it had been the first. A request
// with a body, and one over any other connection, is answered with 404.
func (e *Engine) TakeBack(w http.ResponseWriter, r *http.Request) {
	hijacker, ok := w.(http.Hijacker)
	if !ok || r.ProtoMajor != 1 || r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		http.NotFound(w, r)
		return
	}
	nc, buffered, err := hijacker.Hijack()
	if err != nil {
		http.NotFound(w, r)
		return
	}
	hc, ok := httpConnOf(nc)
	if !ok {
		_, _ = nc.Write(e.appendRefusal(nil, badRequest("not_websocket", "not on this connection"), false))
		_ = nc.Close()
		return
	}
	input := appendHead(nil, r)
	waiting, _ := buffered.Reader.Peek(buffered.Reader.Buffered()) // never blocks
	input = append(append(input, waiting...), hc.unread...)
	e.takeBack(hc, input)
}

// appendHead appends the head of a request as it may have come.
func appendHead(dst []byte, r *http.Request) []byte {
	b := bytes.NewBuffer(dst)
	fmt.Fprintf(b, "%s %s HTTP/1.%d\r\nHost: %s\r\n", r.Method, r.RequestURI, r.ProtoMinor, r.Host)
	_ = r.Header.Write(b) // a buffer takes everything
	b.Write(crlf)
	return b.Bytes()
}

func (e *Engine) takeBack(hc *httpConn, input []byte) {
	var refusal *Refusal
	if e.draining.Load() {
		refusal = e.goingAway()
	} else if reason := e.enter(hc.peer); reason != "" {
		refusal = e.busy(reason, "too many clients at once")
	}
	if refusal != nil {
		// What it has asked before may fill the socket, and it need not read.
		_ = hc.SetWriteDeadline(time.Now().Add(e.cfg.LingerTimeout))
		_, _ = hc.Write(e.appendRefusal(nil, refusal, hc.over.tls != nil))
		_ = hc.Close()
		e.metrics.HandshakeRejections.With(refusal.Label).Inc()
		return
	}
	hc.release()
	if tcp, ok := hc.socket.(*net.TCPConn); ok {
		_ = tcp.SetKeepAlive(false) // as on arrival from another loop
		setUserTimeout(tcp, 0)
	}
	l := e.leastLoaded()
	in := &incoming{conn: &Conn{loop: l}, over: hc.over, input: input}
	if err := l.enrol(hc.socket, in.conn, in); err != nil {
		e.leave(hc.peer)
		e.metrics.HandshakeRejections.With("move_failed").Inc()
	}
}
