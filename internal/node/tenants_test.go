package node

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"sluice/auth"
	"sluice/hub"
	"sluice/hub/wire"
	"sluice/internal/config"
	"sluice/internal/testkit"
)

const otherKey = "another-key-of-at-least-32-bytes"

// TestTenantsApart: keys and origins of one hub do not open another.
func TestTenantsApart(t *testing.T) {
	n := startNode(t, func(c *config.Config) {
		c.Hub = hub.Config{Hubs: map[string]hub.Tenant{
			"chat":   {},
			"Prices": {Keys: []auth.Key{{Secret: otherKey}}, Origins: []string{"https://prices.example"}},
		}}
		c.Auth.Origins = []string{"https://app.example"}
	})
	for _, tt := range []struct {
		hub, key, origin string
		status           int
	}{
		{"chat", testKey, "https://app.example", 101},
		{"chat", otherKey, "https://app.example", 401},
		{"chat", testKey, "https://prices.example", 403},
		{"prices", otherKey, "https://prices.example", 101},
		{"PRICES", otherKey, "https://prices.example", 101},
		{"prices", testKey, "https://prices.example", 401},
		{"prices", otherKey, "https://app.example", 403},
	} {
		t.Run(fmt.Sprintf("%s, key %.5s, %s", tt.hub, tt.key, tt.origin), func(t *testing.T) {
			token, err := auth.Mint([]byte(tt.key), auth.Claims{Hub: tt.hub, TTL: time.Hour}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			c := testkit.Dial(t, "tcp", n.Addrs()[0].String())
			c.WriteString(testkit.Head("/client/hubs/"+tt.hub+"?access_token="+token, subprotocol, "Origin: "+tt.origin))
			if resp := c.ReadResponse(); resp.StatusCode != tt.status {
				body, _ := io.ReadAll(resp.Body)
				t.Errorf("%s %q, want %d", resp.Status, body, tt.status)
			}
		})
	}
}

// TestRawClients: no subprotocol, bare messages.
func TestRawClients(t *testing.T) {
	n := startNode(t, func(c *config.Config) {
		c.Hub = hub.Config{Hubs: map[string]hub.Tenant{"chat": {Events: hub.EventsEcho}, "mute": {}}}
	})
	open := func(hub, query string, claims auth.Claims) *testkit.Conn {
		claims.Hub, claims.TTL = hub, time.Hour
		token, err := auth.Mint([]byte(testKey), claims, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return testkit.DialWebSocket(t, n.Addrs()[0].String(), "/client/hubs/"+hub+"?"+query, "Authorization: Bearer "+token)
	}
	sender := auth.Claims{Roles: []string{"sluice.sendToGroup"}, Groups: []string{"g"}}

	echo := open("chat", "", auth.Claims{})
	echo.WriteText("hello")
	echo.ExpectText("hello")
	echo.WriteFrame(0x82, []byte{0, 1})
	if f := echo.ReadFrame(); f.Op != 2 || string(f.Payload) != "\x00\x01" {
		t.Errorf("got %s", f)
	}

	a, b := open("chat", "mode=sendToGroup&group=g&noEcho=true", sender), open("chat", "webpubsub_mode=sendToGroup&group=g", sender)
	a.WriteText(`"from a"`)
	b.ExpectText(`"from a"`)
	b.WriteText("from b")
	a.ExpectText("from b")
	b.ExpectText("from b")

	forbidden := open("chat", "mode=sendToGroup&group=g", auth.Claims{})
	forbidden.WriteText("x")
	forbidden.ExpectClose(1008)
	mute := open("mute", "", auth.Claims{})
	mute.WriteText("x")
	mute.ExpectClose(1011)
}

// TestModeWithoutCompat: what published clients call the mode means nothing where
// their names are switched off.
func TestModeWithoutCompat(t *testing.T) {
	n := startNode(t, func(c *config.Config) { c.DisableCompat = true })
	for _, path := range []string{"/client/hubs/chat?webpubsub_mode=shout", "/client/hubs/chat?mode=sendEvent"} {
		testkit.DialWebSocket(t, n.Addrs()[0].String(), path, "Authorization: Bearer "+mint(t, auth.Claims{}))
	}
	c := testkit.Dial(t, "tcp", n.Addrs()[0].String())
	c.WriteString(testkit.Head("/client/hubs/chat?mode=shout", "Authorization: Bearer "+mint(t, auth.Claims{})))
	if resp := c.ReadResponse(); resp.StatusCode != 400 {
		t.Errorf("own name: %s", resp.Status)
	}
}

// TestBackEnd sends and closes from a goroutine that is no loop.
func TestBackEnd(t *testing.T) {
	n := startNode(t, nil)
	c := dial(t, n, auth.Claims{User: "ann"})
	_, id, _ := strings.Cut(c.ReadText(), `"connectionId":"`)
	id = id[:26]
	h, _ := n.hubs.Hub("chat")
	if !h.HasConnection(id) {
		t.Fatalf("no connection %q", id)
	}
	if err := h.AddConnectionToGroup(t.Context(), id, "g"); err != nil {
		t.Fatal(err)
	}
	m := &hub.Outgoing{Data: []byte("1")}
	for _, err := range []error{
		h.SendToGroup("g", m, hub.Selection{}), h.SendToUser("ann", m, hub.Selection{}), h.CloseConnection(id, "enough"),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	c.ExpectText(`{"type":"message","from":"group","group":"g","dataType":"json","data":1}`)
	c.ExpectText(`{"type":"message","from":"server","dataType":"json","data":1}`)
	c.ExpectText(`{"type":"system","event":"disconnected","message":"enough"}`)
	if reason := c.ExpectClose(1000); reason != "enough" {
		t.Errorf("reason %q", reason)
	}
}

// TestConflation: a client that does not read keeps its connection, and when it
// reads again the last message is the newest.
func TestConflation(t *testing.T) {
	n := startNode(t, func(c *config.Config) {
		c.Hub = hub.Config{Hubs: map[string]hub.Tenant{"chat": {
			Groups: []hub.GroupRule{{Match: "ticker.**", SlowConsumer: hub.SlowConflate}},
		}}}
		c.Engine.MaxQueueBytes = 256 << 10
	})
	c := dial(t, n, auth.Claims{Groups: []string{"ticker.a"}})
	c.ReadText()
	h, _ := n.hubs.Hub("chat")
	const last = 2000 // far more than the buffers of the sockets hold
	padding := strings.Repeat("x", 16<<10)
	for i := range last {
		m := &hub.Outgoing{DataType: wire.Text, Data: fmt.Appendf(nil, "%d %s", i+1, padding)}
		if err := h.SendToGroup("ticker.a", m, hub.Selection{}); err != nil {
			t.Fatal(err)
		}
	}
	got, previous := 0, 0
	for previous != last {
		_, data, _ := strings.Cut(c.ReadText(), `"data":"`)
		var i int
		if _, err := fmt.Sscan(data, &i); err != nil || i <= previous {
			t.Fatalf("message %d after %d: %v", i, previous, err)
		}
		previous = i
		got++
	}
	if got == last {
		t.Error("nothing was conflated: the test shows nothing")
	}
	if _, page := get(t, n, "/metrics"); !strings.Contains(page, `sluice_dropped_messages_total{reason="slow_consumer"} 0`) {
		t.Error("a slow consumer was closed")
	}
}
