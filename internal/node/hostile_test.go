package node

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/auth"
	"sluice/internal/config"
	"sluice/internal/testkit"
)

// field is a node with everything on that clients can reach, and well-behaved
// clients on it, while others do what they like.
type field struct {
	*secureNode
	t       *testing.T
	secure  bool // the hostile clients come over TLS
	friends []*friend
}

// friend is a well-behaved client that is served throughout.
type friend struct {
	*testkit.Conn
	mu   sync.Mutex
	said int // guarded by mu
}

func (f *friend) check(t *testing.T) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.said++
	text := fmt.Sprintf("still here %d", f.said)
	f.WriteText(`{"type":"sendToGroup","group":"g` + f.LocalAddr().String() + `","dataType":"text","data":"` + text + `"}`)
	if got := f.ReadText(); !strings.Contains(got, `"data":"`+text+`"`) {
		t.Fatalf("a friend got %s", got)
	}
}

func startField(t *testing.T, secure bool, change func(*config.Config)) *field {
	testkit.NoLeaks(t)
	f := &field{t: t, secure: secure}
	f.secureNode = startSecure(t, func(c *config.Config) {
		c.API.Public, c.SockJS.Enable = true, true
		if change != nil {
			change(c)
		}
	})
	for _, over := range []bool{false, true} {
		f.friends = append(f.friends, f.friend(over))
	}
	return f
}

// friend connects one, in plain text or over TLS, to a group of its own.
func (f *field) friend(secure bool) *friend {
	f.t.Helper()
	fr := &friend{Conn: testkit.Dial(f.t, "tcp", f.Addrs()[0].String())}
	if secure {
		fr.Conn = f.dial(f.client("localhost"))
	}
	group := "g" + fr.LocalAddr().String()
	fr.Open("/client/hubs/chat?access_token="+mint(f.t, auth.Claims{Roles: []string{"sluice.sendToGroup"}, Groups: []string{group}}), subprotocol)
	fr.ReadText()
	fr.check(f.t)
	return fr
}

// hostile connects a client of the other kind.
func (f *field) hostile() *testkit.Conn {
	f.t.Helper()
	if f.secure {
		return f.dial(f.client("localhost"))
	}
	return testkit.Dial(f.t, "tcp", f.Addrs()[0].String())
}

// check has every friend served.
func (f *field) check(t *testing.T) {
	t.Helper()
	for _, fr := range f.friends {
		fr.check(t)
	}
}

// count returns the value of a series.
func (n *Node) count(t *testing.T, series string) float64 {
	t.Helper()
	_, page := get(t, n, "/metrics")
	_, rest, ok := strings.Cut(page, "\n"+series+" ")
	if !ok {
		t.Fatalf("there is no series %s", series)
	}
	text, _, _ := strings.Cut(rest, "\n")
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// rejected and answered are the series that count refusals of the loops and answers
// of the HTTP server.
func rejected(reason string) string {
	return `sluice_handshake_rejections_total{reason="` + reason + `"}`
}

func answered(status string) string {
	return `sluice_http_answers_total{listener="client",status="` + status + `"}`
}

// counted waits until a series has gone up from what it was.
func (f *field) counted(t *testing.T, series string, before, by float64) {
	t.Helper()
	testkit.Eventually(t, testkit.Patience, func() bool { return f.count(t, series) >= before+by }, series+" goes up")
}

// ways are those in which hostile clients come.
var ways = []struct {
	name   string
	secure bool
}{{"plain", false}, {"TLS", true}}

// warmUp is a request after which the connection is net/http's, past the parser of
// the loops.
const warmUp = "HEAD /api/health HTTP/1.1\r\nHost: h\r\n\r\n"

// outcome is what comes of a request: statuses of the answers, 0 for an end without
// one, and the series that counts it; "" if it is none that is refused.
type outcome struct {
	statuses []int
	series   string
}

func refusedByLoop(status int, reason string) outcome {
	return outcome{[]int{status}, rejected(reason)}
}

func refusedByServer(statuses ...int) outcome {
	last := "none"
	if n := statuses[len(statuses)-1]; n != 0 {
		last = strconv.Itoa(n)
	}
	return outcome{statuses, answered(last)}
}

func taken(statuses ...int) outcome { return outcome{statuses: statuses} }

// TestHostileHTTP: requests that are not what they should be, first on a connection,
// where the loops read them, and second on one that was handed to net/http.
func TestHostileHTTP(t *testing.T) {
	call := apiCall(t)
	post := func(body string, headers ...string) string {
		return "POST " + sendPath + " HTTP/1.1\r\nHost: h\r\n" + call + strings.Join(headers, "\r\n") + "\r\n\r\n" + body
	}
	const smuggled = "GET /api/smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
	x := func(n int) string { return strings.Repeat("x", n) }
	tests := []struct {
		name, send    string
		first, second outcome
	}{
		{"longer than announced", post("abGARBAGE\r\n\r\n", "Content-Length: 2"), refusedByServer(202, 400), refusedByServer(202, 400)},
		{"chunked garbage", post("zz\r\n"+smuggled, "Transfer-Encoding: chunked"), refusedByServer(400), refusedByServer(400)},
		{"a chunk of more than there is", post("fffffffffffffffff\r\nab", "Transfer-Encoding: chunked"), refusedByServer(400), refusedByServer(400)},
		{"length and chunks", post("0\r\n\r\n"+smuggled, "Content-Length: 5", "Transfer-Encoding: chunked"),
			refusedByLoop(400, "malformed"), taken(202)}, // and what is behind is not read
		{"chunks, and a length behind", post("0\r\n\r\n"+smuggled, "Transfer-Encoding: chunked", "Content-Length: 5"),
			refusedByLoop(400, "malformed"), taken(202)},
		{"chunks in another spelling", post("0\r\n\r\n"+smuggled, "Transfer-Encoding: \x0bchunked"), refusedByLoop(400, "malformed"), refusedByServer(400)},
		{"chunks twice", post("0\r\n\r\n"+smuggled, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), refusedByLoop(400, "malformed"), refusedByServer(501)},
		{"chunks of HTTP/1.0", strings.Replace(post("0\r\n\r\n"+smuggled, "Transfer-Encoding: chunked"), "HTTP/1.1", "HTTP/1.0", 1), refusedByServer(202), taken(202)},
		{"two lengths", post("ab"+smuggled, "Content-Length: 2", "Content-Length: 3"), refusedByLoop(400, "malformed"), refusedByServer(400)},
		{"a list of lengths", post("ab"+smuggled, "Content-Length: 2, 2"), refusedByLoop(400, "malformed"), refusedByServer(400)},
		{"a negative length", post("ab"+smuggled, "Content-Length: -2"), refusedByLoop(400, "malformed"), refusedByServer(400)},
		{"NUL in a header", post("", "X: a\x00b"), refusedByLoop(400, "malformed"), refusedByServer(400)},
		{"NUL in the address", request("GET", "/api/\x00", ""), refusedByLoop(400, "malformed"), refusedByServer(400)},
		{"space before a colon", post("", "X : a"), refusedByLoop(400, "malformed"), refusedByServer(400)},
		{"a folded header", request("GET", "/api/x", "", "X: a\r\n b: c"), refusedByLoop(400, "malformed"), refusedByServer(404)},
		{"a line that ends in a line feed", request("GET", "/api/x", "", "X: a\nY: b"), refusedByLoop(400, "malformed"), refusedByServer(404)},
		{"no host", "GET /api/x HTTP/1.1\r\n\r\n", refusedByServer(400), refusedByServer(400)},
		{"two hosts", "GET /api/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", refusedByLoop(400, "malformed"), refusedByServer(400)},
		{"10,000 headers", request("GET", "/api/x", "", strings.TrimSuffix(strings.Repeat("X: y\r\n", 10_000), "\r\n")), refusedByLoop(431, "head_too_large"), refusedByServer(431)},
		{"a header too long", request("GET", "/api/x", "", "X: "+x(100<<10)), refusedByLoop(431, "head_too_large"), refusedByServer(431)},
		{"a cookie too long", request("GET", "/api/x", "", "Cookie: access_token="+x(30<<10)), refusedByLoop(431, "head_too_large"), refusedByServer(431)},
		{"an address too long", request("GET", "/api/"+x(30<<10), ""), refusedByLoop(431, "head_too_large"), refusedByServer(431)},
		{"a head as large as it may be", request("GET", "/api/x", "", "X: "+x(15<<10)), refusedByServer(404), refusedByServer(404)},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", refusedByLoop(405, "method"), refusedByServer(505)},
		{"HTTP/9", "GET /api/x HTTP/9.9\r\nHost: h\r\n\r\n", refusedByLoop(400, "malformed"), refusedByServer(505)},
		{"CONNECT", "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", refusedByLoop(405, "method"), refusedByLoop(405, "method")},
		{"OPTIONS *", request("OPTIONS", "*", ""), refusedByLoop(405, "method"), refusedByLoop(405, "method")},
		{"an absolute address", request("GET", "http://elsewhere.example.com/api/x", ""), refusedByServer(404), refusedByServer(404)},
		{"an absolute address of nobody", request("GET", "http:///api/x", ""), refusedByServer(404), refusedByServer(404)},
		{"up and away", request("GET", "/api/%2e%2e/%2e%2e/etc/passwd", ""), refusedByServer(404), refusedByServer(404)},
		{"up in disguise", request("GET", "/api/..%2f..%2fetc%2fpasswd", ""), refusedByServer(404), refusedByServer(404)},
		{"up to another hub", testkit.Head("/client/hubs/chat%2f..%2fother", subprotocol), refusedByLoop(404, "unknown_path"), refusedByLoop(404, "unknown_path")},
		{"up in SockJS", request("GET", "/sockjs/hubs/%2e%2e/api/info", ""), refusedByServer(404), refusedByServer(404)},
		{"an expectation nobody knows", post("ab", "Expect: 200-maybe", "Content-Length: 2"), refusedByServer(417), refusedByServer(417)},
		{"a handshake with a body", strings.Replace(testkit.Head("/client/hubs/chat"), "Host:", "Content-Length: 2\r\nHost:", 1) + "ab",
			refusedByLoop(400, "malformed"), refusedByServer(404)},
		{"a PROXY header that nobody waits for", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + request("GET", "/api/x", ""),
			refusedByLoop(400, "malformed"), refusedByServer(400)},
	}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			f := startField(t, way.secure, nil)
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) {
					f.provoke(t, "", tt.send, tt.first)
				})
				t.Run(tt.name+", second", func(t *testing.T) {
					f.provoke(t, warmUp, tt.send, tt.second)
				})
			}
			if got := f.count(t, "sluice_panics_total"); got != 0 {
				t.Errorf("%v panics", got)
			}
		})
	}
}

const sendPath = "/api/hubs/chat/groups/nobody/:send?api-version=2024-01-01"

// apiCall returns a back end's headers for sendPath.
func apiCall(t *testing.T) string {
	t.Helper()
	token, err := auth.MintCall([]byte(testKey), "/api", time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return "Authorization: Bearer " + token + "\r\nContent-Type: text/plain\r\n"
}

// provoke sends a request, after another one if there is a first, and sees that it
// comes to what it should, that it is counted and that nobody else has noticed.
func (f *field) provoke(t *testing.T, first, send string, want outcome) {
	t.Helper()
	var before float64
	if want.series != "" {
		before = f.count(t, want.series)
	}
	c := f.hostile()
	defer c.Close()
	if first != "" {
		c.WriteString(first)
		if resp := c.ReadResponse(); resp.StatusCode != 200 {
			t.Fatalf("the first request: %s", resp.Status)
		}
	}
	go func() { _, _ = io.WriteString(c.Conn, send) }()
	for _, status := range want.statuses {
		if status == 0 {
			continue
		}
		resp := c.ReadResponse()
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != status {
			t.Errorf("%s %.200q, want %d", resp.Status, body, status)
		}
	}
	f.check(t)
	_ = c.Socket().(*net.TCPConn).CloseWrite()
	if rest, _ := io.ReadAll(c.R); len(rest) > 0 {
		t.Errorf("one answer too many: %.300q", rest)
	}
	if want.series != "" {
		f.counted(t, want.series, before, 1)
	}
}
