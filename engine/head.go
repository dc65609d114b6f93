package engine

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"sluice/access"
	"sluice/frame"
)

var (
	lf        = []byte("\n")
	crlf      = []byte("\r\n")
	endOfHead = []byte("\r\n\r\n")
)

// readHead takes bytes of the request head and returns those that follow it.
// The usual head comes in one piece and is never copied.
func (c *Conn) readHead(p []byte) (rest []byte) {
	limit := c.loop.engine.cfg.MaxHeadBytes
	head, before := p, 0
	if c.unread != nil {
		before = len(c.unread.B)
		c.keep(p)
		head = c.unread.B
	}
	end := bytes.Index(head, endOfHead)
	switch {
	case head[0] < 'A' || head[0] > 'Z':
		// Not HTTP, most likely TLS: waiting for more would only keep the
		// client in the dark.
		c.refuse(badRequest("malformed", "not an HTTP request (is this a TLS client on a plain port?)"), nil)
		return nil
	case end > limit-len(endOfHead) || end < 0 && len(head) >= limit:
		c.refuse(&Refusal{Status: http.StatusRequestHeaderFieldsTooLarge, Label: "head_too_large",
			Reason: fmt.Sprintf("the request head is over %d bytes", limit)}, nil)
		return nil
	case end < 0:
		if c.unread == nil {
			c.keep(p)
		}
		return nil
	}
	end += len(endOfHead)
	rest = p[end-before:]
	c.handshake(head[:end], rest)
	return rest
}

// handshake answers a whole request head. Afterwards the connection is open, on
// its way out, elsewhere with rest, which followed the head, or waits.
func (c *Conn) handshake(head, rest []byte) {
	l := c.loop
	r, err := l.heads.parse(head)
	if err != nil {
		c.refuse(badRequest("malformed", "cannot parse the request: "+err.Error()), nil)
		return
	}
	peer := c.gc.RemoteAddr()
	client := l.engine.clientOf(r.Header, peer)
	if client != nil {
		r.RemoteAddr = client.String()
	}
	if s, ok := c.gc.(*session); ok {
		state := s.tls.ConnectionState()
		r.TLS = &state
	}
	if h, ok := l.engine.handler.(HTTPHandler); ok && r.ProtoMajor == 1 && h.ServesHTTP(r) {
		c.serveHTTP(r, head, rest)
		return
	}
	key, refusal := checkHandshake(r)
	if refusal != nil {
		c.refuse(refusal, r)
		return
	}
	o := &opening{key: key, request: r}
	if client != peer {
		o.client = client
	}
	c.judge(o, 1, rest)
}

// accept completes a handshake that the handler has said yes to, here or on the
// loop where the connection shall live.
func (c *Conn) accept(o *opening, rest []byte) {
	o.deflate, o.extensions = frame.NegotiateDeflate(o.request.Header["Sec-Websocket-Extensions"], c.loop.engine.cfg.Compression)
	if o.Loop != nil && o.Loop != c.loop {
		c.move(*o, rest)
		return
	}
	c.upgrade(o)
}

// upgrade sends the 101 and opens the connection (RFC 6455 §4.2.2).
func (c *Conn) upgrade(o *opening) {
	l := c.loop
	peer := c.peer()
	if o.client != nil {
		c.tell(o.client)
	}
	if !c.settleIn() {
		c.refuse(TurnedAway(access.TooMany(access.Connections)), o.request)
		return
	}
	c.dropUnread()
	c.set(flagUpgraded)
	l.engine.leave(peer)
	l.engine.connections.Add(1)
	l.engine.metrics.ConnectionsOpened.Inc()
	l.handshakes.Observe(1000 * uint64(l.engine.micros()-c.since))
	c.since = uint32(l.now)

	out := c.buffer()
	out.B = append(out.B, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	out.B = appendAccept(out.B, o.key)
	if o.Subprotocol != "" {
		out.B = append(append(out.B, "\r\nSec-WebSocket-Protocol: "...), o.Subprotocol...)
	}
	if o.extensions != "" {
		out.B = append(append(out.B, "\r\nSec-WebSocket-Extensions: "...), o.extensions...)
	}
	out.B = append(out.B, endOfHead...)
	c.countSent(0, len(out.B))
	c.markDirty()

	c.state = stateOpen
	c.reader.SetDeflate(o.deflate)
	c.lastMessage = l.now
	c.Expire(o.Expires)

	endpoint, err := o.Open(c)
	c.endpoint = endpoint
	if err != nil {
		code, reason := frame.CloseInternalError, "internal error"
		if fe, ok := errors.AsType[*frame.Error](err); ok {
			code, reason = fe.Code, fe.Reason
		}
		c.end(CauseServerClose, code, reason)
	}
	c.logOpened(o.request, o.Subprotocol)
}

// refuse answers with an HTTP error and closes. Until the socket is gone it
// counts as a pending handshake: refused clients are bounded too.
// The request is for the log, nil when none could be read.
func (c *Conn) refuse(r *Refusal, request *http.Request) {
	l := c.loop
	l.logRefused(r, c.RemoteAddr(), request)
	c.stopWaiting()
	c.dropUnread()
	if c.cause == causeNone {
		c.cause = CauseHandshakeRefused
	}
	l.engine.metrics.HandshakeRejections.With(r.Label).Inc()
	_, secure := c.gc.(*session)
	c.control(l.engine.appendRefusal(nil, r, secure))
	c.finish()
}

// checkCapacity refuses a client that the node has no place for.
func (e *Engine) checkCapacity() *Refusal {
	switch {
	case e.draining.Load():
		return e.goingAway()
	case e.connections.Load() >= int64(e.cfg.MaxConnections):
		return &Refusal{Status: http.StatusServiceUnavailable, Label: "capacity",
			Reason: "this node holds as many connections as it may", RetryAfter: e.cfg.RetryAfter}
	}
	return e.Overload()
}

func badRequest(label, reason string) *Refusal {
	return &Refusal{Status: http.StatusBadRequest, Label: label, Reason: reason}
}

// checkHandshake holds a request against RFC 6455 §4.2.1 and returns the
// client's key.
func checkHandshake(r *http.Request) (key string, _ *Refusal) {
	h := r.Header
	switch {
	case r.Method != http.MethodGet:
		return "", &Refusal{Status: http.StatusMethodNotAllowed, Label: "method",
			Reason: "a WebSocket is opened with GET"}
	case r.ProtoMajor != 1 || r.ProtoMinor < 1:
		return "", badRequest("malformed", "a WebSocket is opened with HTTP/1.1")
	case r.Host == "":
		return "", badRequest("malformed", "the Host header is missing")
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return "", badRequest("malformed", "an opening handshake has no body")
	case len(h["Upgrade"]) == 0:
		return "", &Refusal{Status: http.StatusUpgradeRequired, Label: "not_websocket",
			Reason: "this is a WebSocket endpoint; the request has no Upgrade header"}
	case !hasToken(h["Upgrade"], "websocket"):
		return "", badRequest("malformed", `the Upgrade header does not say "websocket"`)
	case !hasToken(h["Connection"], "upgrade"):
		return "", badRequest("malformed", `the Connection header does not say "Upgrade"`)
	}
	versions, keys := h["Sec-Websocket-Version"], h["Sec-Websocket-Key"]
	switch {
	case len(versions) == 0:
		return "", badRequest("malformed", "the Sec-WebSocket-Version header is missing")
	case len(versions) > 1:
		return "", badRequest("malformed", "the Sec-WebSocket-Version header stands twice")
	case versions[0] != "13":
		return "", &Refusal{Status: http.StatusUpgradeRequired, Label: "version",
			Reason: "only version 13 of the WebSocket protocol is spoken here"}
	case len(keys) != 1:
		return "", badRequest("malformed", "there must be one Sec-WebSocket-Key header")
	}
	if raw, err := base64.StdEncoding.DecodeString(keys[0]); err != nil || len(raw) != 16 {
		return "", badRequest("malformed", "the Sec-WebSocket-Key header is not 16 bytes in base64")
	}
	return keys[0], nil
}

// hasToken looks for a token in a comma-separated header, without regard to
// case.
func hasToken(values []string, token string) bool {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.Trim(part, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// appendAccept appends Sec-WebSocket-Accept for a key (RFC 6455 §4.2.2).
func appendAccept(dst []byte, key string) []byte {
	const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	var buf [24 + len(guid)]byte
	sum := sha1.Sum(append(append(buf[:0], key...), guid...))
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}

// refusalHeaders keep a browser from making more of a refusal than the line of text
// it is, from keeping it, and from telling others an address that may hold a token.
const refusalHeaders = "Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n" +
	"Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n" +
	"Referrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n"

// appendRefusal appends the HTTP answer of a refusal to a client that came over TLS,
// or not. The reason is one line of text for a person.
func (e *Engine) appendRefusal(dst []byte, r *Refusal, secure bool) []byte {
	body := r.Reason + "\n"
	dst = fmt.Appendf(dst, "HTTP/1.1 %d %s\r\n", r.Status, http.StatusText(r.Status))
	switch r.Status {
	case http.StatusMethodNotAllowed:
		dst = append(dst, "Allow: GET\r\n"...)
	case http.StatusUpgradeRequired:
		dst = append(dst, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"...)
	case http.StatusUnauthorized:
		dst = append(dst, "WWW-Authenticate: Bearer\r\n"...)
	}
	connection := "close"
	if r.Status == http.StatusUpgradeRequired {
		connection = "Upgrade, close"
	}
	if wait := r.RetrySeconds(); wait > 0 {
		dst = fmt.Appendf(dst, "Retry-After: %d\r\n", wait)
	}
	if secure && e.cfg.HSTS > 0 {
		dst = fmt.Appendf(dst, "Strict-Transport-Security: max-age=%d\r\n", int64(e.cfg.HSTS.Seconds()))
	}
	return fmt.Appendf(dst, "Connection: %s\r\n%sContent-Length: %s\r\n\r\n%s", connection, refusalHeaders, strconv.Itoa(len(body)), body)
}

// headParser parses request heads with net/http; one per loop, reused.
type headParser struct {
	bytes bytes.Reader
	buf   *bufio.Reader
}

// What net/http lets pass and a proxy in front of us may understand
// differently.
var (
	errBareLF     = errors.New("a line ends without a carriage return")
	errFolded     = errors.New("a header goes on in a second line")
	errTwoLengths = errors.New("a body has both a Content-Length and a Transfer-Encoding")
	errHeaderName = errors.New("there is a space in the name of a header")
	errHost       = errors.New("the Host header is not a host and port")

	// errSyntax stands for what net/http says: that quotes the request, token
	// and all, and proxies log the bodies of errors.
	errSyntax = errors.New("the request line or a header is not well formed")
)

// parse returns the request of a whole head. Nothing of it refers to the
// head's bytes.
func (p *headParser) parse(head []byte) (*http.Request, error) {
	if bytes.Count(head, lf) != bytes.Count(head, crlf) {
		return nil, errBareLF
	}
	if bytes.Contains(head, []byte("\r\n ")) || bytes.Contains(head, []byte("\r\n\t")) {
		return nil, errFolded
	}
	p.bytes.Reset(head)
	if p.buf == nil {
		p.buf = bufio.NewReader(nil)
	}
	p.buf.Reset(&p.bytes)
	r, err := http.ReadRequest(p.buf)
	if err != nil {
		return nil, errSyntax
	}
	if len(r.TransferEncoding) > 0 && hasContentLength(head) {
		return nil, errTwoLengths
	}
	if strings.ContainsAny(r.Host, " \t\"<>\\^`{|}/?#@") {
		return nil, errHost
	}
	for name := range r.Header {
		if strings.ContainsAny(name, " \t") {
			return nil, errHeaderName
		}
	}
	return r, nil
}

// hasContentLength tells whether a head that is well formed has the header:
// net/http takes it out of one that has a Transfer-Encoding too.
func hasContentLength(head []byte) bool {
	for line := range bytes.SplitSeq(head, crlf) {
		name, _, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Content-Length")) {
			return true
		}
	}
	return false
}
