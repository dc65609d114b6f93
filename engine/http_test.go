package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/internal/testkit"
)

// api is a handler that claims what is under /api and echoes everything else.
type api struct{ Handler }

func (api) ServesHTTP(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/api") }

// serveAPI answers with what it was asked.
func serveAPI(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("X-Remote", r.RemoteAddr)
	w.Header().Set("X-Secure", fmt.Sprint(r.TLS != nil))
	fmt.Fprintf(w, "%s %s %d:", r.Method, r.URL.Path, len(body))
	_, _ = w.Write(body)
}

// startAPI runs an engine and an http.Server behind it.
func startAPI(t *testing.T, cfg Config) *node {
	t.Helper()
	n := start(t, cfg, api{echo})
	server := &http.Server{Handler: http.HandlerFunc(serveAPI), ReadHeaderTimeout: testkit.Patience}
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
	return n
}

// url returns how an HTTP client addresses the node.
func (n *node) url() string {
	if n.tls != nil {
		return "https://" + n.addr
	}
	return "http://" + n.addr
}

// expectAnswer reads an answer and compares what the server says it was asked.
func expectAnswer(t *testing.T, c *testkit.Conn, want string) {
	t.Helper()
	if got, err := readAnswer(c); err != nil || got != want {
		t.Fatalf("got %q, error %v, want %q", got, err, want)
	}
}

// TestHTTPClient: the standard client and the standard server, with the engine
// between them, and clients of its own beside them.
func TestHTTPClient(t *testing.T) {
	n := startAPI(t, Config{Loops: 2, MaxHeadBytes: 4 << 10})
	nb := n.neighbour()
	before := descriptors(t)
	transport := &http.Transport{ExpectContinueTimeout: testkit.Patience, TLSClientConfig: n.tls}
	client := &http.Client{Transport: transport, Timeout: testkit.Patience}
	large := random(3 << 20)

	remotes := map[string]bool{}
	for _, tt := range []struct {
		name, method string
		body         []byte
		change       func(*http.Request)
	}{
		{"no body", "GET", nil, nil},
		{"a small body", "PUT", []byte("hello"), nil},
		{"a body larger than a head may be", "POST", large[:64<<10], nil},
		{"a large body", "POST", large, nil},
		{"100-continue", "POST", large, func(r *http.Request) { r.Header.Set("Expect", "100-continue") }},
		{"chunked", "POST", large, func(r *http.Request) { r.ContentLength = -1 }},
		{"another request", "DELETE", nil, nil},
	} {
		for _, fresh := range []bool{false, true} {
			if fresh {
				transport.CloseIdleConnections()
			}
			req, err := http.NewRequest(tt.method, n.url()+"/api/x", bytes.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if tt.change != nil {
				tt.change(req)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			want := append(fmt.Appendf(nil, "%s /api/x %d:", tt.method, len(tt.body)), tt.body...)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %d bytes %.60q, error %v", tt.name, len(got), got, err)
			}
			if got := resp.Header.Get("X-Secure"); got != fmt.Sprint(n.tls != nil) {
				t.Errorf("%s: the server saw TLS: %s", tt.name, got)
			}
			remotes[resp.Header.Get("X-Remote")] = true
			nb.check()
		}
	}
	if len(remotes) != 8 { // the first one and those that were asked for
		t.Errorf("%d connections were used, want 8: keep-alive does not work", len(remotes))
	}
	transport.CloseIdleConnections()
	n.eventually("the HTTP connections closed", func() bool { return n.HTTPConnections() == 0 })
	n.eventually("all descriptors closed", func() bool { return descriptors(t) <= before })
	nb.check()
}

// TestHTTPCuts: requests one behind the other, cut anywhere.
func TestHTTPCuts(t *testing.T) {
	n := startAPI(t, Config{})
	input := "POST /api/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" +
		"GET /elsewhere HTTP/1.1\r\nHost: x\r\n\r\n" +
		"PUT /api/3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nfoo\r\n4\r\nbars\r\n0\r\n\r\n"
	unixAddr := n.listen("unix:" + filepath.Join(t.TempDir(), "s"))
	for cut := range len(input) {
		network, addr := "tcp", n.addr
		if cut%2 == 1 {
			network, addr = "unix", unixAddr
		}
		c := n.dialAt(network, addr)
		c.WriteString(input[:cut])
		if cut > 0 && cut < strings.Index(input, "hello") {
			n.eventually("a part of the head read", n.hasPartialHead)
		}
		c.WriteString(input[cut:])
		expectAnswer(t, c, "POST /api/1 5:hello")
		expectAnswer(t, c, "GET /elsewhere 0:") // the connection is the server's for good
		expectAnswer(t, c, "PUT /api/3 7:foobars")
		c.Close()
	}
	n.eventually("nothing pending", func() bool { return n.pending.Load() == 0 })
}

// TestHTTPNotClaimed: what the handler does not claim is answered as ever.
func TestHTTPNotClaimed(t *testing.T) {
	n := startAPI(t, Config{})
	for _, tt := range handshakes {
		c := n.dial()
		c.WriteString(tt.send)
		if tt.label == "" {
			got := make([]byte, len(tt.want))
			if _, err := io.ReadFull(c.R, got); err != nil || string(got) != tt.want {
				t.Errorf("%s: got %q, error %v", tt.name, got, err)
			}
		} else if got, err := readAll(c); err != nil || got != tt.want {
			t.Errorf("%s: got %q, error %v, want %q", tt.name, got, err, tt.want)
		}
		c.Close()
	}
}

// TestHTTPLimit: the connections of the server are bounded, and one that ends
// makes place.
func TestHTTPLimit(t *testing.T) {
	const request = "GET /api HTTP/1.1\r\nHost: x\r\n\r\n"
	n := startAPI(t, Config{MaxHTTPConnections: 2})
	var served []*testkit.Conn
	for range 2 {
		c := n.dial()
		c.WriteString(request)
		expectAnswer(t, c, "GET /api 0:")
		served = append(served, c)
	}
	c := n.dial()
	c.WriteString(request)
	if got, err := readAll(c); err != nil || !strings.HasPrefix(got, "HTTP/1.1 503 ") || !strings.Contains(got, "Retry-After: ") {
		t.Errorf("got %q, error %v", got, err)
	}
	c.Close()
	n.rejected("http_limit", 1)
	served[0].Close()
	n.eventually("a place", func() bool { return n.HTTPConnections() == 1 })
	c = n.dial()
	c.WriteString(request)
	expectAnswer(t, c, "GET /api 0:")
}

// TestHTTPWithoutDescriptors: with none left for the loop, the client is told so
// and the next one is served.
func TestHTTPWithoutDescriptors(t *testing.T) {
	const request = "GET /api HTTP/1.1\r\nHost: x\r\n\r\n"
	n := startAPI(t, Config{})
	before := descriptors(t)
	c := n.dial()
	n.eventually("the client on its loop", func() bool { return descriptors(t) == before+2 })
	restore := limitDescriptors(t, 0)
	c.WriteString(request)
	got, err := readAll(c)
	restore()
	if err != nil || !strings.HasPrefix(got, "HTTP/1.1 503 ") {
		t.Errorf("got %q, error %v", got, err)
	}
	n.rejected("http_failed", 1)
	c.Close()
	n.eventually("the client forgotten", func() bool { return n.pending.Load() == 0 && n.HTTPConnections() == 0 })
	c = n.dial()
	c.WriteString(request)
	expectAnswer(t, c, "GET /api 0:")
}

// handOver puts one end of a socket pair into the listener and returns the other.
func (r *rig) handOver(t *testing.T) *os.File {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	client := os.NewFile(uintptr(fds[0]), "client")
	t.Cleanup(func() { client.Close() })
	r.engine.http.open.Add(1)
	r.engine.http.put(&handedOver{loop: r.Loop, fd: fds[1], unread: []byte("read before; ")})
	return client
}

// TestHTTPListener: what becomes of a socket that was handed over.
func TestHTTPListener(t *testing.T) {
	refused := func(t *testing.T, r *rig, client *os.File, label string) {
		t.Helper()
		if got, err := io.ReadAll(client); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 503 ") {
			t.Errorf("got %q, error %v", got, err)
		}
		if n := r.engine.metrics.HandshakeRejections.With(label).Get(); n != 1 || r.engine.HTTPConnections() != 0 {
			t.Errorf("%d counted as %s, %d open", n, label, r.engine.HTTPConnections())
		}
	}

	t.Run("accepted", func(t *testing.T) {
		r := newRig(Config{}, echo)
		ln, client := r.engine.HTTPListener(), r.handOver(t)
		nc, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.WriteString("read later"); err != nil {
			t.Fatal(err)
		}
		client.Close()
		var got bytes.Buffer // io.Copy asks for WriterTo, which must not pass by what was read
		if _, err := io.Copy(&got, nc); err != nil || got.String() != "read before; read later" {
			t.Errorf("got %q, error %v", got.String(), err)
		}
		if r.engine.HTTPConnections() != 1 {
			t.Errorf("%d open", r.engine.HTTPConnections())
		}
		for range 2 { // a server may close twice
			nc.Close()
			if r.engine.HTTPConnections() != 0 {
				t.Errorf("%d open after the close", r.engine.HTTPConnections())
			}
		}
	})

	t.Run("no descriptor for package net", func(t *testing.T) {
		r := newRig(Config{}, echo)
		client := r.handOver(t)
		restore := limitDescriptors(t, 0)
		_, err := (<-r.engine.http.queue).adopt()
		restore()
		r.engine.http.open.Add(-1)
		if err == nil {
			t.Fatal("no error")
		}
		refused(t, r, client, "http_failed")
	})

	t.Run("closed before it was accepted", func(t *testing.T) {
		r := newRig(Config{}, echo)
		ln, client := r.engine.HTTPListener(), r.handOver(t)
		if err := ln.Close(); err != nil {
			t.Error(err)
		}
		refused(t, r, client, "draining")
		if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the second close: %v", err)
		}
		if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept after the close: %v", err)
		}
	})

	t.Run("closed before it came", func(t *testing.T) {
		r := newRig(Config{}, echo)
		r.engine.HTTPListener().Close()
		refused(t, r, r.handOver(t), "draining")
	})
}

// TestHTTPWhileDraining: a node that goes away takes no requests any more.
func TestHTTPWhileDraining(t *testing.T) {
	r := newRig(Config{}, api{echo})
	c, gc := r.connect()
	r.engine.draining.Store(true)
	gc.receive([]byte("GET /api HTTP/1.1\r\nHost: x\r\n\r\n"))
	if got := string(gc.out); !strings.HasPrefix(got, "HTTP/1.1 503 ") || c.state == stateHead {
		t.Errorf("got %q, state %d", got, c.state)
	}
	if got := r.engine.metrics.HandshakeRejections.With("draining").Get(); got != 1 || r.engine.HTTPConnections() != 0 {
		t.Errorf("%d refused, %d open", got, r.engine.HTTPConnections())
	}
}

// TestHTTPStorm: connections that come, ask and go in all ways at once, while
// others are served.
func TestHTTPStorm(t *testing.T) {
	const clients, rounds = 10, 40
	n := startAPI(t, Config{Loops: 2})
	nb := n.neighbour()
	before := descriptors(t)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for range rounds {
				nc, err := n.tryDial()
				if err != nil {
					t.Error(err)
					return
				}
				c := testkit.Wrap(t, nc)
				_, _ = io.WriteString(nc, "POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
				switch i % 3 {
				case 0: // leaves at once
					c.Reset()
				case 1: // sends no more, but listens
					_ = c.Socket().(*net.TCPConn).CloseWrite()
					fallthrough
				case 2:
					if b, err := readAnswer(c); err != nil || b != "POST /api 5:hello" {
						t.Errorf("got %q, error %v", b, err)
					}
					nc.Close()
				}
			}
		})
	}
	wg.Wait()
	nb.check()
	n.eventually("all gone", func() bool { return n.HTTPConnections() == 0 && n.pending.Load() == 0 })
	n.eventually("all descriptors closed", func() bool { return descriptors(t) <= before })
}

// readAnswer reads the body of an answer, on any goroutine.
func readAnswer(c *testkit.Conn) (string, error) {
	_ = c.SetDeadline(time.Now().Add(testkit.Patience))
	resp, err := http.ReadResponse(c.R, nil)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}
