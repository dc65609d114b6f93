package engine

import (
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/access"
	"sluice/internal/later"
	"sluice/internal/testkit"
)

// wanderers is a handler whose clients wait, change loops, and are net/http's, as
// their paths say.
type wanderers struct {
	room later.Room

	mu     sync.Mutex
	answer *later.Event // guarded by mu
}

func (h *wanderers) ServesHTTP(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/api") }

func (h *wanderers) Upgrade(c *Conn, r *http.Request) (Acceptance, *Refusal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if strings.Contains(r.URL.Path, "wait") && !HasWaited(r) {
		return Acceptance{}, &Refusal{Status: http.StatusServiceUnavailable, Label: "issuer_unavailable", Reason: "not known yet", Later: h.answer}
	}
	if strings.Contains(r.URL.Path, "refuse") {
		return Acceptance{}, &Refusal{Status: http.StatusUnauthorized, Label: "token_missing", Reason: "no"}
	}
	a, refusal := echo.Upgrade(c, r)
	if strings.Contains(r.URL.Path, "move") {
		a.Loop = c.loop.engine.loops[1-c.loop.index]
	}
	return a, refusal
}

// wake has those who wait be judged again.
func (h *wanderers) wake() {
	h.mu.Lock()
	before := h.answer
	h.answer = later.NewEvent(&h.room)
	h.mu.Unlock()
	before.Done()
}

// wander is the life of a client: some requests, cut off anywhere or not at all.
func wander(t *testing.T, n *node, i int) {
	nc, err := net.Dial("tcp", n.addr)
	if err != nil {
		t.Error(err)
		return
	}
	defer nc.Close() // of the socket: nothing is said
	if rand.IntN(2) == 0 {
		_ = nc.(*net.TCPConn).SetLinger(0) // leaves with a reset
	}
	_ = nc.SetDeadline(time.Now().Add(time.Duration(rand.IntN(30)) * time.Millisecond))
	if n.tls != nil {
		nc = tls.Client(nc, n.tls)
	}
	paths := []string{"/", "/wait", "/move", "/wait-move", "/refuse", "/wait-refuse"}
	told := fmt.Sprintf("X-Forwarded-For: 192.0.2.%d", i%3)
	text := ""
	for range rand.IntN(3) {
		text += strings.Replace(apiCall, "\r\n\r\n", "\r\n"+told+"\r\n\r\n", 1)
	}
	text += testkit.Head(paths[rand.IntN(len(paths))], told)
	text += string(testkit.MaskedFrame(0x81, []byte("hello")))
	if rand.IntN(4) == 0 {
		text = text[:rand.IntN(len(text))]
	}
	if cut := rand.IntN(len(text) + 1); rand.IntN(2) == 0 {
		_, _ = io.WriteString(nc, text[:cut])
		text = text[cut:]
	}
	_, _ = io.WriteString(nc, text)
	_, _ = io.CopyN(io.Discard, nc, int64(rand.IntN(1000))+1)
}

// TestPlacesComeBack: whatever clients do and wherever they leave, nothing that was
// counted for them, or for their addresses, is left.
func TestPlacesComeBack(t *testing.T) {
	t.Run("their own addresses", func(t *testing.T) { testPlacesComeBack(t, nil, "127.0.0.1") })
	t.Run("told by a proxy", func(t *testing.T) { testPlacesComeBack(t, loopback, "192.0.2.0", "192.0.2.1", "192.0.2.2") })
}

func testPlacesComeBack(t *testing.T, trusted []netip.Prefix, addresses ...string) {
	const places = 20
	h := &wanderers{room: later.Room{Most: 1000}}
	h.answer = later.NewEvent(&h.room)
	n := start(t, Config{Loops: 2, Proxy: ProxyConfig{Trusted: trusted, Header: "X-Forwarded-For"}}, h)
	g := n.guarded(access.Config{MaxPending: places, MaxConnections: places, MaxHTTPConnections: places})
	serveMixed(t, n, h.ServesHTTP)
	over := make(chan struct{})
	go func() {
		defer close(over)
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				for i := range 30 {
					wander(t, n, i)
				}
			})
		}
		all.Wait()
	}()
	n.eventually("all clients have gone", func() bool {
		h.wake()
		select {
		case <-over:
			return true
		default:
			return false
		}
	})
	n.eventually("nobody left", func() bool {
		h.wake()
		return n.pending.Load() == 0 && n.connections.Load() == 0 && n.HTTPConnections() == 0 && n.waiting.Load() == 0 && h.room.Waiting() == 0
	})
	for _, address := range addresses {
		for _, place := range []access.Place{access.PendingPlace, access.ConnectionPlace, access.HTTPPlace} {
			left := 0
			for g.Take(netip.MustParseAddr(address), place) {
				left++
			}
			if left != places {
				t.Errorf("%s: %d places of kind %d are left, want %d", address, left, place, places)
			}
		}
	}
}
