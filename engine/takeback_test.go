package engine

import (
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"sluice/internal/metrics"
	"sluice/internal/testkit"
)

// startMixed runs an engine behind which an http.Server serves what is claimed and
// gives everything else back.
func startMixed(t *testing.T, cfg Config) *node {
	t.Helper()
	n := start(t, cfg, api{echo})
	serveMixed(t, n, api{}.ServesHTTP)
	return n
}

// serveMixed runs that server.
func serveMixed(t *testing.T, n *node, claims func(*http.Request) bool) {
	t.Helper()
	server := &http.Server{ReadHeaderTimeout: testkit.Patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if claims(r) {
			serveAPI(w, r)
		} else {
			n.TakeBack(w, r)
		}
	})}
	n.Introduce(server)
	done := make(chan error, 1)
	go func() { done <- server.Serve(n.HTTPListener()) }()
	t.Cleanup(func() {
		n.shutdown(n.cfg.tick)
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("the server ended with %v", err)
		}
		server.Close()
		n.eventually("no HTTP connection left", func() bool { return n.HTTPConnections() == 0 })
	})
}

const apiCall = "GET /api/x HTTP/1.1\r\nHost: h\r\n\r\n"

// TestTakeBack: what a proxy sends over one connection, API calls and then a
// client's handshake, in one piece or several.
func TestTakeBack(t *testing.T) {
	n := startMixed(t, Config{Loops: 2})
	before := descriptors(t)
	hello := string(testkit.MaskedFrame(0x81, []byte("hello")))
	for name, pieces := range map[string][]string{
		"one after the other":      {apiCall, testkit.Head("/"), hello},
		"the first message glued":  {apiCall, testkit.Head("/") + hello},
		"all in one":               {apiCall + testkit.Head("/") + hello},
		"two calls, then the rest": {apiCall + apiCall, testkit.Head("/") + hello},
		"a head that is cut":       {apiCall + testkit.Head("/")[:20], testkit.Head("/")[20:] + hello[:3], hello[3:]},
	} {
		t.Run(name, func(t *testing.T) {
			c := n.dial()
			for i, p := range pieces {
				c.WriteString(p)
				if i == 0 {
					for range strings.Count(p, apiCall) {
						expectAnswer(t, c, "GET /api/x 0:")
					}
				}
			}
			if resp := c.ReadResponse(); resp.StatusCode != http.StatusSwitchingProtocols {
				t.Fatalf("status %d", resp.StatusCode)
			}
			c.ExpectText("hello")
			c.Close()
		})
	}
	n.eventually("no HTTP connection left", func() bool { return n.HTTPConnections() == 0 })
	n.eventually("all descriptors closed", func() bool { return descriptors(t) <= before })
}

// TestTakeBackRefused: what the loops refuse is answered by them, and a request
// with a body never gets there.
func TestTakeBackRefused(t *testing.T) {
	n := startMixed(t, Config{})
	for request, want := range map[string]int{
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n":                             http.StatusUpgradeRequired,
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab":     http.StatusNotFound,
		strings.Replace(testkit.Head("/"), "Key: ", "Key: not one ", 1): http.StatusBadRequest,
	} {
		c := n.dial()
		c.WriteString(apiCall)
		expectAnswer(t, c, "GET /api/x 0:")
		c.WriteString(request)
		if got := c.ReadResponse().StatusCode; got != want {
			t.Errorf("%.40q: status %d, want %d", request, got, want)
		}
		c.Close()
	}
}

// deafConn is a socket whose client does not read.
type deafConn struct {
	net.Conn
	deadline time.Time
	open     func() int
	counted  int
}

func (c *deafConn) SetWriteDeadline(t time.Time) error { c.deadline = t; return nil }
func (c *deafConn) Write([]byte) (int, error)          { c.counted = c.open(); return 0, os.ErrDeadlineExceeded }
func (c *deafConn) Close() error                       { return nil }

// TestTakeBackFromTheDeaf: who is refused and does not read is counted until it is
// closed, which is soon.
func TestTakeBackFromTheDeaf(t *testing.T) {
	e := New(Config{}, metrics.New(), discard)
	e.draining.Store(true)
	e.http.open.Store(1)
	socket := &deafConn{open: e.HTTPConnections}
	e.takeBack(&httpConn{Conn: socket, socket: socket, engine: e}, nil)
	if socket.counted != 1 || socket.deadline.IsZero() {
		t.Errorf("while it is refused %d are counted, and its time ends at %v", socket.counted, socket.deadline)
	}
	if n := e.HTTPConnections(); n != 0 {
		t.Errorf("%d are counted when it is closed", n)
	}
}
