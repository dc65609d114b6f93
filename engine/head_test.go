package engine

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"sluice/frame"
	"sluice/internal/testkit"
)

// switching is the answer to testkit.Head, byte for byte; extra headers go
// before its end.
func switching(extra string) string {
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + testkit.SampleAccept + "\r\n" + extra + "\r\n"
}

// refusal is the answer to a handshake that is not accepted, byte for byte.
func refusal(status, extra, connection, reason string) string {
	return fmt.Sprintf("HTTP/1.1 %s\r\n%sConnection: %s\r\nContent-Type: text/plain; charset=utf-8\r\n"+
		"Cache-Control: no-store\r\nContent-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"+
		"Referrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\nContent-Length: %d\r\n\r\n%s\n", status, extra, connection, len(reason)+1, reason)
}

func bad(reason string) string { return refusal("400 Bad Request", "", "close", reason) }

func notWebSocket() string {
	return refusal("426 Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n", "Upgrade, close",
		"this is a WebSocket endpoint; the request has no Upgrade header")
}

// head returns the sample head with one line replaced, or left out.
func head(old, new string) string {
	h := testkit.Head("/")
	if !strings.Contains(h, old) {
		panic("the sample head has no " + old)
	}
	return strings.Replace(h, old, new, 1)
}

const (
	hostLine       = "Host: localhost\r\n"
	upgradeLine    = "Upgrade: websocket\r\n"
	connectionLine = "Connection: Upgrade\r\n"
	versionLine    = "Sec-WebSocket-Version: 13\r\n"
	keyLine        = "Sec-WebSocket-Key: " + testkit.SampleKey + "\r\n"
)

var badVersion = refusal("426 Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n", "Upgrade, close",
	"only version 13 of the WebSocket protocol is spoken here")

var handshakes = []struct {
	name, send string
	want       string // the whole answer
	label      string // of the refusal; "" when the answer is 101
}{
	{"sample", testkit.Head("/"), switching(""), ""},
	{"lower case names", head(upgradeLine+connectionLine, "upgrade: websocket\r\nconnection: upgrade\r\n"), switching(""), ""},
	{"upper case names and values", head(upgradeLine+connectionLine, "UPGRADE: WEBSOCKET\r\nCONNECTION: UPGRADE\r\n"), switching(""), ""},
	{"lists", head(upgradeLine+connectionLine, "Upgrade: h2c , WebSocket\r\nConnection: keep-alive\r\nConnection: close,\tUpgrade\r\n"), switching(""), ""},
	{"absolute address", head("GET / ", "GET http://localhost:80/path?x=1 "), switching(""), ""},
	{"empty body announced", head(hostLine, hostLine+"Content-Length: 0\r\n"), switching(""), ""},
	{"unknown subprotocols and extensions", head(hostLine, hostLine+"Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Extensions: permessage-deflate, foo\r\n"), switching(""), ""},

	{"POST", head("GET", "POST"), refusal("405 Method Not Allowed", "Allow: GET\r\n", "close", "a WebSocket is opened with GET"), "method"},
	{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", refusal("405 Method Not Allowed", "Allow: GET\r\n", "close", "a WebSocket is opened with GET"), "method"},
	{"plain GET", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", notWebSocket(), "not_websocket"},
	{"HTTP/1.0", head("HTTP/1.1", "HTTP/1.0"), bad("a WebSocket is opened with HTTP/1.1"), "malformed"},
	{"no host", head(hostLine, ""), bad("the Host header is missing"), "malformed"},
	{"empty host", head(hostLine, "Host:\r\n"), bad("the Host header is missing"), "malformed"},
	{"HTTP/2.0", head("HTTP/1.1", "HTTP/2.0"), bad("a WebSocket is opened with HTTP/1.1"), "malformed"},
	{"folded header", head(hostLine, "Host: local\r\n host\r\n"), bad("cannot parse the request: a header goes on in a second line"), "malformed"},
	{"a host that is none", head(hostLine, "Host: a b<c>/d\r\n"), bad("cannot parse the request: the Host header is not a host and port"), "malformed"},
	{"two hosts", head(hostLine, hostLine+hostLine), bad("cannot parse the request: the request line or a header is not well formed"), "malformed"},
	{"no upgrade to websocket", head(upgradeLine, "Upgrade: h2c\r\n"), bad(`the Upgrade header does not say "websocket"`), "malformed"},
	{"no connection upgrade", head(connectionLine, "Connection: keep-alive\r\n"), bad(`the Connection header does not say "Upgrade"`), "malformed"},
	{"no connection", head(connectionLine, ""), bad(`the Connection header does not say "Upgrade"`), "malformed"},
	{"no version", head(versionLine, ""), bad("the Sec-WebSocket-Version header is missing"), "malformed"},
	{"two versions", head(versionLine, versionLine+versionLine), bad("the Sec-WebSocket-Version header stands twice"), "malformed"},
	{"version 8", head(versionLine, "Sec-WebSocket-Version: 8\r\n"), badVersion, "version"},
	{"version list", head(versionLine, "Sec-WebSocket-Version: 13, 8\r\n"), badVersion, "version"},
	{"no key", head(keyLine, ""), bad("there must be one Sec-WebSocket-Key header"), "malformed"},
	{"two keys", head(keyLine, keyLine+keyLine), bad("there must be one Sec-WebSocket-Key header"), "malformed"},
	{"short key", head(keyLine, "Sec-WebSocket-Key: AAAA\r\n"), bad("the Sec-WebSocket-Key header is not 16 bytes in base64"), "malformed"},
	{"key not base64", head(keyLine, "Sec-WebSocket-Key: ????????????????????????\r\n"), bad("the Sec-WebSocket-Key header is not 16 bytes in base64"), "malformed"},
	{"body", head(hostLine, hostLine+"Content-Length: 5\r\n") + "hello", bad("an opening handshake has no body"), "malformed"},
	{"chunked body", head(hostLine, hostLine+"Transfer-Encoding: chunked\r\n") + "0\r\n\r\n", bad("an opening handshake has no body"), "malformed"},
	{"two lengths", head(hostLine, hostLine+"Content-Length: 1\r\nContent-Length: 2\r\n"),
		bad("cannot parse the request: the request line or a header is not well formed"), "malformed"},
	{"two ways to tell the length", "POST / HTTP/1.1\r\nHost: x\r\ncontent-length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		bad("cannot parse the request: a body has both a Content-Length and a Transfer-Encoding"), "malformed"},
	{"no colon", head(hostLine, hostLine+"nonsense\r\n"), bad("cannot parse the request: the request line or a header is not well formed"), "malformed"},
	{"space before a colon", head(hostLine, hostLine+"Authorization : x\r\n"), bad("cannot parse the request: there is a space in the name of a header"), "malformed"},
	{"bare line feeds", head(hostLine, "Host: localhost\n"), bad("cannot parse the request: a line ends without a carriage return"), "malformed"},
	{"head hidden behind line feeds", "GET / HTTP/1.1\r\nHost: x\n\nGET /hidden HTTP/1.1\r\n\r\n", bad("cannot parse the request: a line ends without a carriage return"), "malformed"},
	{"control byte", head(hostLine, hostLine+"X: a\x00b\r\n"), bad("cannot parse the request: the request line or a header is not well formed"), "malformed"},
	{"empty lines", "\r\n\r\n", bad("not an HTTP request (is this a TLS client on a plain port?)"), "malformed"},
	{"lower case method", head("GET", "get"), bad("not an HTTP request (is this a TLS client on a plain port?)"), "malformed"},
	{"no request line", "HELO example.org\r\n\r\n", bad("cannot parse the request: the request line or a header is not well formed"), "malformed"},
	{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", bad("not an HTTP request (is this a TLS client on a plain port?)"), "malformed"},
	{"head too large", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 16<<10) + "\r\n\r\n",
		refusal("431 Request Header Fields Too Large", "", "close", "the request head is over 16384 bytes"), "head_too_large"},
	{"endless head", "GET /" + strings.Repeat("x", 16<<10),
		refusal("431 Request Header Fields Too Large", "", "close", "the request head is over 16384 bytes"), "head_too_large"},
	{"second request behind a refused one", "GET / HTTP/1.1\r\nHost: x\r\n\r\n" + testkit.Head("/"), notWebSocket(), "not_websocket"},
}

func TestHandshake(t *testing.T) {
	for _, tt := range handshakes {
		t.Run(tt.name, func(t *testing.T) {
			n := start(t, Config{}, echo)
			nb := n.neighbour()
			c := n.dial()
			c.WriteString(tt.send)
			if tt.label == "" {
				got := make([]byte, len(tt.want))
				_ = c.SetDeadline(time.Now().Add(testkit.Patience))
				if _, err := io.ReadFull(c.R, got); err != nil || string(got) != tt.want {
					t.Fatalf("got %q, error %v, want %q", got, err, tt.want)
				}
				c.WriteText("hello")
				c.ExpectText("hello")
			} else {
				if got, err := readAll(c); err != nil || got != tt.want {
					t.Fatalf("got %q, error %v, want %q", got, err, tt.want)
				}
				n.rejected(tt.label, 1)
				c.Close()
				n.eventually("the refused client gone", func() bool { return n.pending.Load() == 0 })
			}
			nb.check()
		})
	}
}

// TestHandshakeOnLimit: a head of exactly the limit passes, one byte more does
// not, in one piece or several.
func TestHandshakeOnLimit(t *testing.T) {
	for _, over := range []int{0, 1} {
		for _, pieces := range []int{1, 3} {
			r := newRig(Config{MaxHeadBytes: 1000}, echo)
			c, gc := r.connect()
			pad := 1000 + over - len(testkit.Head("/", "X: "))
			h := []byte(testkit.Head("/", "X: "+strings.Repeat("x", pad)))
			for i := range pieces {
				if gc.closed {
					break
				}
				gc.receive(h[i*len(h)/pieces : (i+1)*len(h)/pieces])
			}
			if open := c.state == stateOpen; open != (over == 0) {
				t.Errorf("%d bytes over the limit in %d pieces: open is %v: %q", over, pieces, open, gc.out)
			}
		}
	}
}

// TestHandshakeCuts: the answer and the first frames do not depend on where the
// input is cut.
func TestHandshakeCuts(t *testing.T) {
	input := []byte(testkit.Head("/"))
	input = append(input, testkit.MaskedFrame(0x81, []byte("glued to the head"))...)
	input = append(input, testkit.MaskedFrame(0x82, bytes.Repeat([]byte{7}, 300))...)
	want := switching("")
	want += string(frame.AppendFrame(nil, frame.OpText, []byte("glued to the head")))
	want += string(frame.AppendFrame(nil, frame.OpBinary, bytes.Repeat([]byte{7}, 300)))

	check := func(cuts ...int) {
		t.Helper()
		r := newRig(Config{}, echo)
		c, gc := r.connect()
		from := 0
		for _, to := range append(cuts, len(input)) {
			gc.receive(bytes.Clone(input[from:to]))
			from = to
		}
		if got := string(gc.out); got != want {
			t.Fatalf("cut at %v: got %q, want %q", cuts, got, want)
		}
		if c.unread != nil || c.out != nil || c.reader.Buffered() != 0 {
			t.Fatalf("cut at %v: an idle connection holds a buffer", cuts)
		}
	}
	check()
	for i := 1; i < len(input); i++ {
		check(i)
	}
	every := make([]int, len(input)-1)
	for i := range every {
		every[i] = i + 1
	}
	check(every...)
}

// TestHandshakeBytes sends the head byte by byte over a real socket.
func TestHandshakeBytes(t *testing.T) {
	n := start(t, Config{}, echo)
	c := n.dial()
	for _, b := range []byte(testkit.Head("/")) {
		c.WriteBytes([]byte{b})
	}
	if resp := c.ReadResponse(); resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp.Status)
	}
	c.WriteText("hello")
	c.ExpectText("hello")
}

func TestSecondRequestAfterUpgrade(t *testing.T) {
	n := start(t, Config{}, echo)
	c := n.dial()
	c.WriteString(testkit.Head("/") + testkit.Head("/"))
	c.ReadResponse()
	c.ExpectClose(uint16(frame.CloseProtocolError))
	c.Close()
	n.closedBy(CauseProtocolError, 1)
}

func TestSlowHead(t *testing.T) {
	n := start(t, Config{HandshakeTimeout: 30 * time.Millisecond}, echo)
	want := refusal("408 Request Timeout", "", "close", "the request head did not arrive in time")
	for i, part := range []string{"", "GET / HTTP/1.1\r\nHo"} {
		c := n.dial()
		c.WriteString(part)
		if got, err := readAll(c); err != nil || got != want {
			t.Fatalf("after %q: got %q, error %v, want %q", part, got, err, want)
		}
		n.rejected("handshake_timeout", uint64(i+1))
	}
}

var retryAfter = regexp.MustCompile(`Retry-After: [12]\r\n`)

func unavailable(reason string) string {
	return refusal("503 Service Unavailable", "Retry-After: *\r\n", "close", reason)
}

func TestCapacity(t *testing.T) {
	n := start(t, Config{MaxConnections: 2, RetryAfter: time.Second}, echo)
	first, second := n.neighbour(), n.neighbour()
	if !n.Full() || n.Connections() != 2 || n.MaxConnections() != 2 {
		t.Errorf("full: %v, connections: %d of %d", n.Full(), n.Connections(), n.MaxConnections())
	}
	c := n.dial()
	c.WriteString(testkit.Head("/"))
	got, err := readAll(c)
	got = retryAfter.ReplaceAllString(got, "Retry-After: *\r\n")
	if want := unavailable("this node holds as many connections as it may"); err != nil || got != want {
		t.Fatalf("got %q, error %v, want %q", got, err, want)
	}
	n.rejected("capacity", 1)
	first.check()
	second.Reset()
	n.eventually("a free place", func() bool { return !n.Full() })
	n.neighbour()
}

func TestDrainingHandshake(t *testing.T) {
	n := start(t, Config{RetryAfter: time.Second}, echo)
	c := n.dial()
	c.WriteString("GET ")
	n.eventually("a pending handshake", func() bool { return n.pending.Load() == 1 })
	done := make(chan struct{})
	go func() { defer close(done); n.shutdown(time.Millisecond) }()
	n.eventually("draining", n.draining.Load)
	c.WriteString(strings.TrimPrefix(testkit.Head("/"), "GET "))
	got, err := readAll(c)
	got = retryAfter.ReplaceAllString(got, "Retry-After: *\r\n")
	if want := unavailable("this node is going away, connect to another one"); err != nil || got != want {
		t.Fatalf("got %q, error %v, want %q", got, err, want)
	}
	n.rejected("draining", 1)
	c.Close()
	<-done
}

// TestPendingLimit: sockets without a handshake, and refused ones that do not
// go, are bounded; above the bound a new one is closed unheard.
func TestPendingLimit(t *testing.T) {
	n := start(t, Config{MaxPendingHandshakes: 2}, echo)
	nb := n.neighbour()
	silent, refused := n.dial(), n.dial()
	refused.WriteString("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := readAll(refused); err != nil {
		t.Fatal(err)
	}
	n.eventually("two pending", func() bool { return n.pending.Load() == 2 })
	over := n.dial()
	if got, err := readAll(over); got != "" {
		t.Fatalf("got %q, error %v, want no answer", got, err)
	}
	n.rejected("pending_limit", 1)
	nb.check()
	refused.Close()
	n.eventually("one pending", func() bool { return n.pending.Load() == 1 })
	n.neighbour()
	silent.Reset()
	n.rejected("client_gone", 1)
}

func TestHandlerRefusal(t *testing.T) {
	tests := []struct {
		refusal Refusal
		want    string
	}{
		{Refusal{Status: 401, Label: "token_expired", Reason: "the token has expired"},
			refusal("401 Unauthorized", "WWW-Authenticate: Bearer\r\n", "close", "the token has expired")},
		{Refusal{Status: 403, Label: "origin_denied", Reason: "not from here"},
			refusal("403 Forbidden", "", "close", "not from here")},
		{Refusal{Status: 429, Label: "token_missing", Reason: "later", RetryAfter: time.Second},
			refusal("429 Too Many Requests", "Retry-After: *\r\n", "close", "later")},
	}
	for _, tt := range tests {
		t.Run(tt.refusal.Label, func(t *testing.T) {
			n := start(t, Config{}, handlerFunc(func(*Conn, *http.Request) (Acceptance, *Refusal) {
				return Acceptance{}, &tt.refusal
			}))
			c := n.dial()
			c.WriteString(testkit.Head("/"))
			got, err := readAll(c)
			got = retryAfter.ReplaceAllString(got, "Retry-After: *\r\n")
			if err != nil || got != tt.want {
				t.Fatalf("got %q, error %v, want %q", got, err, tt.want)
			}
			n.rejected(tt.refusal.Label, 1)
		})
	}
}

// TestUpgradeRequest: the handler sees the request as it was sent.
func TestUpgradeRequest(t *testing.T) {
	seen := make(chan *http.Request, 1)
	n := start(t, Config{}, handlerFunc(func(c *Conn, r *http.Request) (Acceptance, *Refusal) {
		if a := c.RemoteAddr(); a.String() != r.RemoteAddr || c.Loop().Index() != 0 {
			t.Errorf("address %v, request's %q, loop %d", a, r.RemoteAddr, c.Loop().Index())
		}
		seen <- r
		return Acceptance{Subprotocol: "b", Open: func(*Conn) (Endpoint, error) { return &endpoint{}, nil }}, nil
	}))
	c := n.dial()
	resp := c.Open("/client/hubs/chat?x=1", "Sec-WebSocket-Protocol: a, b", "Cookie: k=v", "Origin: https://example.com")
	if got := resp.Header.Get("Sec-WebSocket-Protocol"); got != "b" {
		t.Errorf("Sec-WebSocket-Protocol: %q", got)
	}
	r := <-seen
	if r.URL.Path != "/client/hubs/chat" || r.URL.RawQuery != "x=1" || r.Host != "localhost" ||
		r.Header.Get("Cookie") != "k=v" || r.Header.Get("Origin") != "https://example.com" ||
		r.Header.Get("Sec-Websocket-Protocol") != "a, b" || r.RemoteAddr != c.LocalAddr().String() {
		t.Errorf("%+v", r)
	}
}

func TestExtensions(t *testing.T) {
	const offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
	text := strings.Repeat("compressible ", 100)
	t.Run("off", func(t *testing.T) {
		n := start(t, Config{}, echo)
		c := n.dial()
		if got := c.Open("/", offer).Header["Sec-Websocket-Extensions"]; got != nil {
			t.Fatalf("Sec-WebSocket-Extensions: %q", got)
		}
		c.WriteText(text)
		c.ExpectText(text)
	})
	for _, takeover := range []bool{false, true} {
		t.Run(fmt.Sprintf("takeover=%v", takeover), func(t *testing.T) {
			cfg := frame.DeflateConfig{Enabled: true, ContextTakeover: takeover}
			n := start(t, Config{Compression: cfg}, echo)
			c := n.dial()
			d, err := frame.AcceptDeflateAnswer(c.Open("/", offer).Header["Sec-Websocket-Extensions"], cfg)
			if err != nil || d == nil || d.Takeover() != takeover {
				t.Fatalf("%+v, error %v", d, err)
			}
			codec := frame.NewCodec(frame.Config{Client: true, Deflate: cfg})
			reader := frame.Reader{}
			reader.SetDeflate(d)
			for i := range 5 { // the later ones use the context
				c.WriteBytes(codec.AppendMessage(nil, frame.OpText, []byte(text), d))
				f := c.ReadFrame()
				if f.RSV != 4 || len(f.Payload) > len(text)/4 {
					t.Fatalf("message %d is not compressed: %s", i, f)
				}
				h := frame.AppendHeader(nil, frame.Header{Fin: true, RSV1: true, Op: frame.OpText, Length: int64(len(f.Payload))})
				ev, _, err := reader.Next(codec, append(h, f.Payload...))
				if err != nil || string(ev.Payload) != text {
					t.Fatalf("message %d: %q, error %v", i, ev.Payload, err)
				}
			}
		})
	}
}

// FuzzHead: whatever comes before the upgrade, cut anywhere, is answered once or
// waited for, and never costs a panic.
func FuzzHead(f *testing.F) {
	for _, tt := range handshakes {
		f.Add([]byte(tt.send), uint8(0))
		f.Add([]byte(tt.send), uint8(7))
	}
	f.Fuzz(func(t *testing.T, input []byte, step uint8) {
		r := newRig(Config{MaxHeadBytes: 512, MaxMessageSize: 1 << 10}, echo)
		c, gc := r.connect()
		size := int(step)
		if size == 0 {
			size = 64 << 10
		}
		for p := input; len(p) > 0 && !gc.closed; {
			n := min(size, len(p))
			gc.receive(bytes.Clone(p[:n]))
			p = p[n:]
		}
		r.turn()
		if n := r.engine.metrics.Panics.Get(); n != 0 {
			t.Fatalf("%d panics", n)
		}
		if c.state == stateHead {
			if len(gc.out) > 0 || r.engine.pending.Load() != 1 || len(input) >= 512 {
				t.Fatalf("waiting with %d pending after %d bytes, but said %q", r.engine.pending.Load(), len(input), gc.out)
			}
			return
		}
		rest := bufio.NewReader(bytes.NewReader(gc.out))
		resp, err := http.ReadResponse(rest, nil)
		if err != nil {
			t.Fatalf("answer %q: %v", gc.out, err)
		}
		upgraded := resp.StatusCode == http.StatusSwitchingProtocols
		body, err := io.ReadAll(resp.Body)
		if err != nil || !upgraded && (rest.Buffered() > 0 || bytes.Count(body, []byte("\n")) != 1) {
			t.Fatalf("not one answer of one line: %q, error %v", gc.out, err)
		}
		if r.engine.pending.Load() != 0 || upgraded != c.has(flagUpgraded) {
			t.Fatalf("%d pending after %q", r.engine.pending.Load(), gc.out)
		}
	})
}

// TestRetrySeconds: nobody is told to come back before it is of use.
func TestRetrySeconds(t *testing.T) {
	for after, want := range map[time.Duration][2]int{0: {0, 0}, 1: {1, 1}, 1500 * time.Millisecond: {2, 3}, time.Minute - 1: {60, 120}} {
		r := &Refusal{RetryAfter: after}
		for range 100 {
			if got := r.RetrySeconds(); got < want[0] || got > want[1] {
				t.Errorf("%v: %d, want %d to %d", after, got, want[0], want[1])
			}
		}
	}
}
