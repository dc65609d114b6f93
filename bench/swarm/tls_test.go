//go:build linux

package swarm

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"sluice/frame"
	"sluice/internal/testkit"
)

// serveTLS is serve over TLS. resumed counts the sessions that were.
func serveTLS(t *testing.T, resumed *atomic.Int32, f func(c net.Conn)) (netip.AddrPort, *tls.Config) {
	ca := testkit.NewAuthority(t)
	server := &tls.Config{Certificates: []tls.Certificate{ca.Issue("localhost", nil)}}
	addr := serve(t, func(c net.Conn) {
		tc := tls.Server(c, server)
		if tc.Handshake() != nil {
			return
		}
		if tc.ConnectionState().DidResume {
			resumed.Add(1)
		}
		f(tc)
		tc.Close()
	})
	return addr, &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(0)}
}

// TestTLS: what connections do in plain text they do over TLS, and a session is
// resumed where the configuration says so.
func TestTLS(t *testing.T) {
	testkit.NoLeaks(t)
	var resumed atomic.Int32
	target, cfg := serveTLS(t, &resumed, echoServer())
	s := start(t, Config{Target: target, TLS: cfg})
	large := bytes.Repeat([]byte("0123456789"), 100_000)
	for visit := range 3 {
		r := &recorder{
			onOpen: func(c *Conn) {
				c.Send(AppendFrame(nil, frame.OpText, []byte("one")))
				c.Send(AppendFrame(nil, frame.OpBinary, large))
			},
			onMessage: func(c *Conn, p []byte) {
				if len(p) == len(large) {
					c.Close(frame.CloseNormal)
				}
			},
		}
		if err := s.Open(t.Context(), 1, func(*Loop, int) (Plan, bool) {
			return Plan{Role: r, Request: Request("h", "/", "", "")}, true
		}); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, testkit.Patience, func() bool { return slices.Contains(r.seen(), "closed true 1000 closed by us") }, "the end")
		want := []string{"open", "message 1 one", "message 2 " + string(large), "closed true 1000 closed by us"}
		if seen := r.seen(); !slices.Equal(seen, want) {
			t.Errorf("visit %d: got %.200q", visit, seen)
		}
	}
	if got := resumed.Load(); got != 2 {
		t.Errorf("%d sessions resumed, want 2", got)
	}
}

// TestTLSFails: a handshake that does not come to its end is a failure of its
// connection, and leaves no goroutine.
func TestTLSFails(t *testing.T) {
	testkit.NoLeaks(t)
	silent := make(chan struct{})
	defer close(silent)
	for want, server := range map[string]func(net.Conn){
		"TLS handshake":                  func(c net.Conn) { c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")); io.Copy(io.Discard, c) },
		"end of stream in TLS handshake": func(c net.Conn) { c.Read(make([]byte, 4096)) },
		"timeout in TLS handshake":       func(net.Conn) { <-silent },
	} {
		s := start(t, Config{Target: serve(t, server), TLS: &tls.Config{InsecureSkipVerify: true}, Patience: 300 * time.Millisecond})
		_ = s.Open(t.Context(), 1, func(*Loop, int) (Plan, bool) {
			return Plan{Role: &recorder{}, Request: Request("h", "/", "", "")}, true
		})
		testkit.Eventually(t, testkit.Patience, func() bool { return s.Counts().Failed[want] == 1 }, want)
		s.Stop()
	}
}
