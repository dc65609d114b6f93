package node

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/auth"
	"sluice/hub"
	"sluice/internal/config"
	"sluice/internal/logs"
	"sluice/internal/testkit"
)

const testKey = "0123456789abcdef0123456789abcdef"

// startNode runs a node on free ports until the test ends.
func startNode(t *testing.T, change func(*config.Config)) *Node {
	t.Helper()
	return startNodeLogging(t, change, t.Output())
}

// startNodeLogging is startNode with the log in a place of the test's own.
func startNodeLogging(t *testing.T, change func(*config.Config), out io.Writer) *Node {
	t.Helper()
	cfg := config.Config{
		Listen: []string{"127.0.0.1:0"},
		Ops:    "127.0.0.1:0",
		Drain:  config.Drain{Grace: time.Millisecond, Window: 100 * time.Millisecond},
		Auth:   auth.Config{Keys: []auth.Key{{Secret: testKey}}},
		Hub:    hub.Config{CreateOnFirstUse: true},
	}
	if change != nil {
		change(&cfg)
	}
	if err := config.Check(&cfg); err != nil {
		t.Fatal(err)
	}
	log := logs.Open(cfg.Log, out)
	t.Cleanup(log.Close)
	n, err := Start(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return n
}

// mint returns a token for the hub "chat".
func mint(t testing.TB, claims auth.Claims) string {
	t.Helper()
	claims.Hub = "chat"
	if claims.TTL == 0 {
		claims.TTL = time.Hour
	}
	token, err := auth.Mint([]byte(testKey), claims, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

const subprotocol = "Sec-WebSocket-Protocol: json.sluice.v1"

// TestWaysIn brings the token in by each of its ways.
func TestWaysIn(t *testing.T) {
	testkit.NoLeaks(t)
	n := startNode(t, nil)
	token := mint(t, auth.Claims{User: "u"})
	for name, headers := range map[string][]string{
		"header":      {"Authorization: Bearer " + token, subprotocol},
		"cookie":      {"Cookie: other=1; access_token=" + token, subprotocol},
		"subprotocol": {"Sec-WebSocket-Protocol: bearer." + base64URL(token) + ", json.sluice.v1"},
		"compat name": {"Authorization: Bearer " + token, "Sec-WebSocket-Protocol: json.webpubsub.azure.v1"},
	} {
		t.Run(name, func(t *testing.T) {
			c := testkit.DialWebSocket(t, n.Addrs()[0].String(), "/client/hubs/chat", headers...)
			if got := c.ReadText(); !strings.Contains(got, `"event":"connected"`) || !strings.Contains(got, `"userId":"u"`) {
				t.Errorf("first message: %s", got)
			}
		})
	}
	for _, path := range []string{"/client/hubs/chat?access_token=", "/client/?hub=CHAT&access_token="} {
		t.Run(path, func(t *testing.T) {
			c := testkit.DialWebSocket(t, n.Addrs()[0].String(), path+token, subprotocol)
			c.ReadText()
		})
	}
}

// TestWaysOut is what a client that may not come in is told.
func TestWaysOut(t *testing.T) {
	n := startNode(t, func(c *config.Config) {
		c.Hub = hub.Config{Hubs: map[string]hub.Tenant{"chat": {}}}
		c.Auth.Origins = []string{"https://*.example.com"}
	})
	token := "access_token=" + mint(t, auth.Claims{})
	elsewhere, err := auth.Mint([]byte(testKey), auth.Claims{Hub: "lobby", TTL: time.Hour}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, path string
		headers    []string
		status     int
		body       string
	}{
		{"no token", "/client/hubs/chat", nil, 401, "token"},
		{"garbage", "/client/hubs/chat?access_token=x.y.z", nil, 401, "token"},
		{"another hub's token", "/client/hubs/chat?access_token=" + elsewhere, nil, 401, "aud"},
		{"no such hub", "/client/hubs/lobby?access_token=" + elsewhere, nil, 404, "no such hub"},
		{"bad hub", "/client/hubs/9?" + token, nil, 400, "hub"},
		{"no hub", "/client/?" + token, nil, 400, "hub"},
		{"wrong path", "/elsewhere?" + token, nil, 404, "/client/hubs/"},
		{"origin", "/client/hubs/chat?" + token, []string{subprotocol, "Origin: https://example.org"}, 403, "origin"},
		{"bad mode", "/client/hubs/chat?mode=shout&" + token, nil, 400, "mode"},
		{"unknown subprotocol", "/client/hubs/chat?" + token, []string{"Sec-WebSocket-Protocol: mqtt"}, 400, "json.sluice.v1"},
		{"no echo here", "/echo", nil, 404, "/client/hubs/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.headers == nil {
				tt.headers = []string{subprotocol}
			}
			c := testkit.Dial(t, "tcp", n.Addrs()[0].String())
			c.WriteString(testkit.Head(tt.path, tt.headers...))
			resp := c.ReadResponse()
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != tt.status || !strings.Contains(string(body), tt.body) {
				t.Errorf("%s %q, want %d and %q", resp.Status, body, tt.status, tt.body)
			}
			c.ExpectEOF()
		})
	}
	t.Run("origin allowed", func(t *testing.T) {
		testkit.DialWebSocket(t, n.Addrs()[0].String(), "/client/hubs/chat?"+token, subprotocol, "Origin: https://app.example.com").ReadText()
	})
}

// TestTokenExpires closes a live connection whose token has run out.
func TestTokenExpires(t *testing.T) {
	n := startNode(t, func(c *config.Config) { c.Auth.Leeway = time.Millisecond })
	c := testkit.DialWebSocket(t, n.Addrs()[0].String(),
		"/client/hubs/chat?access_token="+mint(t, auth.Claims{TTL: 2 * time.Second}), subprotocol)
	c.ReadText()
	c.ExpectClose(4401)
}

// TestUnixSocket connects through a socket file.
func TestUnixSocket(t *testing.T) {
	path := t.TempDir() + "/sluice.sock"
	n := startNode(t, func(c *config.Config) { c.Listen = append(c.Listen, "unix:"+path) })
	c := testkit.Dial(t, "unix", n.Addrs()[1].String())
	c.Open("/client/hubs/chat?access_token="+mint(t, auth.Claims{}), subprotocol)
	c.ReadText()
}

// TestStorm has a few hundred clients join, publish, leave and die at random.
// Whoever lives sees each sender's messages in order, and afterwards nothing is
// left of anybody.
func TestStorm(t *testing.T) {
	testkit.NoLeaks(t)
	n := startNode(t, nil)
	const clients, lives, steps, groups = 300, 3, 12, 8
	url := make([]string, clients)
	for i := range url {
		url[i] = "/client/hubs/chat?access_token=" + mint(t, auth.Claims{
			User: fmt.Sprint("u", i), Roles: []string{"sluice.joinLeaveGroup", "sluice.sendToGroup"},
		})
	}
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			for life := range lives {
				if err := live(n.Addrs()[0].String(), url[i], rng, life, steps, groups); err != nil {
					t.Errorf("client %d, life %d: %v", i, life, err)
					return
				}
			}
		})
	}
	wg.Wait()
	testkit.Eventually(t, testkit.Patience, func() bool {
		return n.engine.Connections() == 0 && n.hubs.Stats()[0].Sessions == 0
	}, "every connection and session gone")
	s := n.hubs.Stats()[0]
	if s.Groups != 0 {
		t.Errorf("%d groups left", s.Groups)
	}
	if n.engine.QueuedBytes() != 0 {
		t.Errorf("%d bytes still booked as queued", n.engine.QueuedBytes())
	}
	if s.Published == 0 || s.Delivered == 0 {
		t.Errorf("nothing happened: %+v", s)
	}
	if _, body := get(t, n, "/metrics"); !strings.Contains(body, "\nsluice_panics_total 0\n") {
		t.Error("something panicked")
	}
}

// live is one connection: some steps, each acknowledged, then a random end.
func live(addr, url string, rng *rand.Rand, life, steps, groups int) error {
	nc, err := testkit.TryDial("tcp", addr)
	if err != nil {
		return err
	}
	defer nc.Close()
	c := testkit.Wrap(nil, nc)
	_ = nc.SetDeadline(time.Now().Add(testkit.Patience))
	if _, err := io.WriteString(nc, testkit.Head(url, subprotocol)); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.R, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("handshake: %v %v", resp, err)
	}
	seen := map[string]int{} // sender, its life and group: last number
	for step := range steps {
		group := fmt.Sprint("g", rng.IntN(groups))
		message := map[string]any{"group": group, "ackId": step + 1}
		switch rng.IntN(4) {
		case 0, 1:
			message["type"] = "joinGroup"
		case 2:
			message["type"] = "leaveGroup"
		case 3:
			message["type"], message["data"] = "sendToGroup", map[string]int{"life": life, "step": step}
		}
		b, _ := json.Marshal(message)
		if _, err := nc.Write(testkit.MaskedFrame(0x81, b)); err != nil {
			return err
		}
		if err := awaitAck(c, step+1, seen); err != nil {
			return fmt.Errorf("step %d: %w", step, err)
		}
	}
	switch rng.IntN(3) {
	case 0:
		err = nc.(*net.TCPConn).SetLinger(0) // a reset instead of an end of file
	case 1:
		_, err = nc.Write(testkit.MaskedFrame(0x88, []byte{3, 232}))
	}
	return err
}

type message struct {
	Type, Group, FromUserID string
	AckID                   int
	Success                 bool
	Data                    struct{ Life, Step int }
}

// awaitAck reads up to the acknowledgement and holds what comes before it
// against the order of its senders.
func awaitAck(c *testkit.Conn, id int, seen map[string]int) error {
	for {
		f, err := c.TryReadFrame()
		if err != nil {
			return err
		}
		var m message
		if err := json.Unmarshal(f.Payload, &m); err != nil {
			return fmt.Errorf("%w: %s", err, f)
		}
		switch m.Type {
		case "ack":
			if m.AckID != id || !m.Success {
				return fmt.Errorf("ack of %d: %s", id, f)
			}
			return nil
		case "message":
			key := m.FromUserID + " in " + m.Group
			number := m.Data.Life*1000 + m.Data.Step + 1
			if number <= seen[key] {
				return errors.New("out of order or twice: " + f.String())
			}
			seen[key] = number
		}
	}
}

// TestReadiness follows /readyz through full and draining.
func TestReadiness(t *testing.T) {
	n := startNode(t, func(c *config.Config) { c.Engine.MaxConnections = 1; c.EchoPath = "/echo" })
	if status, _ := get(t, n, "/readyz"); status != 200 {
		t.Fatalf("serving: %d", status)
	}
	c := testkit.DialWebSocket(t, n.Addrs()[0].String(), "/echo")
	if status, body := get(t, n, "/readyz"); status != 503 || !strings.Contains(body, "full") {
		t.Errorf("full: %d %q", status, body)
	}
	second := testkit.Dial(t, "tcp", n.Addrs()[0].String())
	second.WriteString(testkit.Head("/echo"))
	if resp := second.ReadResponse(); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("full: %v", resp)
	}
	c.WriteClose(1000, "")
	testkit.Eventually(t, testkit.Patience, func() bool {
		status, _ := get(t, n, "/readyz")
		return status == 200
	}, "ready again")
}

func get(t *testing.T, n *Node, path string) (status int, body string) {
	t.Helper()
	resp, err := http.Get("http://" + n.OpsAddr().String() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func base64URL(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// dial connects a client to the hub "chat".
func dial(t *testing.T, n *Node, claims auth.Claims) *testkit.Conn {
	t.Helper()
	return testkit.DialWebSocket(t, n.Addrs()[0].String(), "/client/hubs/chat?access_token="+mint(t, claims), subprotocol)
}
