package node

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"sluice/api"
	"sluice/auth"
	"sluice/hub"
	"sluice/internal/config"
	"sluice/internal/testkit"
)

// backEnd calls the data plane of a node as a company's service does.
type backEnd struct {
	t    *testing.T
	base string
	key  string
}

func (b *backEnd) call(method, path, contentType, body string) (status int, answer string) {
	b.t.Helper()
	token, err := auth.MintCall([]byte(b.key), "/api", time.Minute, time.Now())
	if err != nil {
		b.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", contentType)
	r.Close = true
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func (b *backEnd) want(status int, method, path, contentType, body string) string {
	b.t.Helper()
	got, answer := b.call(method, path, contentType, body)
	if got != status {
		b.t.Fatalf("%s %s: status %d, want %d: %s", method, path, got, status, answer)
	}
	return answer
}

// connectionID reads the first message of a client.
func connectionID(t *testing.T, first string) string {
	t.Helper()
	var connected struct{ Event, ConnectionID string }
	if err := json.Unmarshal([]byte(first), &connected); err != nil || connected.Event != "connected" {
		t.Fatalf("first message: %s", first)
	}
	return connected.ConnectionID
}

// TestDataPlane is a back end and a client, over real sockets.
func TestDataPlane(t *testing.T) {
	testkit.NoLeaks(t)
	n := startNode(t, nil)
	b := &backEnd{t, "http://" + n.OpsAddr().String() + "/api/hubs/chat", testKey}
	c := testkit.DialWebSocket(t, n.Addrs()[0].String(), "/client/hubs/chat",
		"Authorization: Bearer "+mint(t, auth.Claims{User: "alice"}), subprotocol)
	id := connectionID(t, c.ReadText())

	for _, tt := range []struct{ path, contentType, body, want string }{
		{"/:send", "text/plain", "all", `{"type":"message","from":"server","dataType":"text","data":"all"}`},
		{"/:send?filter=userId+eq+'alice'", "application/json", `{"b":1, "a":2}`, `{"type":"message","from":"server","dataType":"json","data":{"b":1, "a":2}}`},
		{"/users/alice/:send", "application/octet-stream", "\x00\x01", `{"type":"message","from":"server","dataType":"binary","data":"AAE="}`},
		{"/connections/" + id + "/:send", "text/plain", "one", `{"type":"message","from":"server","dataType":"text","data":"one"}`},
	} {
		b.want(202, "POST", tt.path, tt.contentType, tt.body)
		if got := c.ReadText(); got != tt.want {
			t.Errorf("%s: got %s", tt.path, got)
		}
	}
	for _, path := range []string{"/:send?excluded=" + id, "/:send?filter=userId+eq+'bob'", "/users/bob/:send", "/groups/room/:send"} {
		b.want(202, "POST", path, "text/plain", "not for alice")
	}

	b.want(200, "PUT", "/groups/room/connections/"+id, "", "")
	b.want(404, "PUT", "/groups/room/connections/nobody", "", "")
	b.want(200, "HEAD", "/groups/room", "", "")
	b.want(404, "HEAD", "/groups/hall", "", "")
	if list := b.want(200, "GET", "/groups/room/connections", "", ""); list != `{"value":[{"connectionId":"`+id+`","userId":"alice"}]}` {
		t.Errorf("members: %s", list)
	}
	b.want(202, "POST", "/groups/room/:send", "text/plain", "group")
	if got := c.ReadText(); got != `{"type":"message","from":"group","group":"room","dataType":"text","data":"group"}` {
		t.Errorf("got %s", got)
	}

	c.WriteText(`{"type":"sendToGroup","group":"room","dataType":"text","data":"x","ackId":1}`)
	if got := c.ReadText(); !strings.Contains(got, `"name":"Forbidden"`) {
		t.Errorf("got %s", got)
	}
	b.want(200, "PUT", "/permissions/sendToGroup/connections/"+id+"?targetName=room", "", "")
	c.WriteText(`{"type":"sendToGroup","group":"room","dataType":"text","data":"x","noEcho":true,"ackId":2}`)
	if got := c.ReadText(); got != `{"type":"ack","ackId":2,"success":true}` {
		t.Errorf("got %s", got)
	}

	c.WriteText(`{"type":"setGroupState","group":"room","state":{"mood":"good"},"ackId":3}`)
	if got := c.ReadText(); got != `{"type":"ack","ackId":3,"success":true}` {
		t.Errorf("got %s", got)
	}
	if got := b.want(200, "GET", "/groups/room/presence", "", ""); !strings.HasPrefix(got, `{"value":[{"connectionId":"`+id+`","userId":"alice","state":{"mood":"good"},"updatedAt":`) {
		t.Errorf("presence: %s", got)
	}

	_, page := get(t, n, "/metrics")
	for _, want := range []string{
		`sluice_api_requests_total{operation="send_to_all",status="2xx"} 4`,
		`sluice_api_requests_total{operation="add_connection",status="4xx"} 1`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q", want)
		}
	}

	b.want(204, "DELETE", "/connections/"+id+"?reason=enough", "", "")
	if got := c.ReadText(); got != `{"type":"system","event":"disconnected","message":"enough"}` {
		t.Errorf("got %s", got)
	}
}

// TestGeneratedToken: a token that the node has made lets a client in.
func TestGeneratedToken(t *testing.T) {
	n := startNode(t, nil)
	b := &backEnd{t, "http://" + n.OpsAddr().String() + "/api/hubs/chat", testKey}
	var answer struct{ Token string }
	if err := json.Unmarshal([]byte(b.want(200, "POST", "/:generateToken?userId=carol&group=room", "", "")), &answer); err != nil {
		t.Fatal(err)
	}
	c := testkit.DialWebSocket(t, n.Addrs()[0].String(), "/client/hubs/chat", "Authorization: Bearer "+answer.Token, subprotocol)
	if first := c.ReadText(); !strings.Contains(first, `"userId":"carol"`) {
		t.Errorf("got %s", first)
	}
	b.want(200, "HEAD", "/groups/room", "", "")
}

// TestDataPlaneKeys: the keys of one hub are no good for another, and a client's
// token is none for the data plane.
func TestDataPlaneKeys(t *testing.T) {
	const own = "a key of the hub's own, long enough"
	n := startNode(t, func(c *config.Config) {
		c.Hub.CreateOnFirstUse = true
		c.Hub.Hubs = map[string]hub.Tenant{"own": {Keys: []auth.Key{{Secret: own}}}}
	})
	base := "http://" + n.OpsAddr().String() + "/api/hubs/"
	for _, tt := range []struct {
		hub, key string
		status   int
	}{{"chat", testKey, 202}, {"own", own, 202}, {"chat", own, 401}, {"own", testKey, 401}} {
		b := &backEnd{t, base + tt.hub, tt.key}
		b.want(tt.status, "POST", "/:send", "text/plain", "x")
	}
	r, err := http.NewRequestWithContext(t.Context(), "POST", base+"chat/:send", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+mint(t, auth.Claims{User: "mallory"}))
	r.Close = true
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 401 {
		t.Errorf("with a client's token: status %d", resp.StatusCode)
	}
}

// TestPublicDataPlane: with api.public one address serves clients and back ends,
// and the other paths of it are as they were.
func TestPublicDataPlane(t *testing.T) {
	testkit.NoLeaks(t)
	n := startNode(t, func(c *config.Config) { c.API = api.Config{Public: true, Disable: true} })
	addr := n.Addrs()[0].String()
	b := &backEnd{t, "http://" + addr + "/api/hubs/chat", testKey}
	c := testkit.DialWebSocket(t, addr, "/client/hubs/chat", "Authorization: Bearer "+mint(t, auth.Claims{User: "alice"}), subprotocol)
	c.ReadText()
	for _, text := range []string{"short", strings.Repeat("long ", 100_000)} {
		b.want(202, "POST", "/users/alice/:send", "text/plain", text)
		if got := c.ReadText(); !strings.Contains(got, `"data":"`+text+`"`) {
			t.Errorf("got %.100s", got)
		}
	}
	resp, err := http.Get("http://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("another path: %s", resp.Status)
	}
	onOps := &backEnd{t, "http://" + n.OpsAddr().String() + "/api/hubs/chat", testKey}
	onOps.want(404, "POST", "/:send", "text/plain", "x")
}

func TestDataPlaneDisabled(t *testing.T) {
	n := startNode(t, func(c *config.Config) { c.API.Disable = true })
	b := &backEnd{t, "http://" + n.OpsAddr().String() + "/api/hubs/chat", testKey}
	b.want(404, "POST", "/:send", "text/plain", "x")
}

// TestRevoke: who is connected with a revoked token is closed, and does not come
// in again; a token that is made afterwards is good.
func TestRevoke(t *testing.T) {
	n := startNode(t, nil)
	b := &backEnd{t, "http://" + n.OpsAddr().String() + "/api/hubs/chat", testKey}
	claims := auth.Claims{User: "alice"}
	token := mint(t, claims)
	c := testkit.DialWebSocket(t, n.Addrs()[0].String(), "/client/hubs/chat", "Authorization: Bearer "+token, subprotocol)
	c.ReadText()
	other := testkit.DialWebSocket(t, n.Addrs()[0].String(), "/client/hubs/chat",
		"Authorization: Bearer "+mint(t, auth.Claims{User: "bob"}), subprotocol)
	other.ReadText()

	b.want(204, "POST", "/:revoke", "application/json", `{"userId":"alice","reason":"left the company"}`)
	if got := c.ReadText(); got != `{"type":"system","event":"disconnected","message":"left the company"}` {
		t.Errorf("got %s", got)
	}
	if reason := c.ExpectClose(1008); reason != "left the company" {
		t.Errorf("reason %q", reason)
	}
	again := testkit.Dial(t, "tcp", n.Addrs()[0].String())
	again.WriteString(testkit.Head("/client/hubs/chat", "Authorization: Bearer "+token, subprotocol))
	if resp := again.ReadResponse(); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("with the revoked token: %s", resp.Status)
	}
	// The others notice nothing.
	b.want(202, "POST", "/users/bob/:send", "text/plain", "still here")
	if got := other.ReadText(); !strings.Contains(got, "still here") {
		t.Errorf("got %s", got)
	}
}

// TestTicketConnects: a ticket lets one client in, from either place.
func TestTicketConnects(t *testing.T) {
	n := startNode(t, nil)
	b := &backEnd{t, "http://" + n.OpsAddr().String() + "/api/hubs/chat", testKey}
	addr := n.Addrs()[0].String()
	for _, place := range []struct{ query, header string }{
		{"?ticket=", subprotocol}, {"", "Sec-WebSocket-Protocol: json.sluice.v1, ticket."},
	} {
		var answer struct{ Ticket string }
		if err := json.Unmarshal([]byte(b.want(200, "POST", "/:createTicket?userId=dora", "", "")), &answer); err != nil {
			t.Fatal(err)
		}
		path, header := "/client/hubs/chat", place.header
		if place.query != "" {
			path += place.query + answer.Ticket
		} else {
			header += answer.Ticket
		}
		c := testkit.DialWebSocket(t, addr, path, header)
		if first := c.ReadText(); !strings.Contains(first, `"userId":"dora"`) {
			t.Errorf("got %s", first)
		}
		again := testkit.Dial(t, "tcp", addr)
		again.WriteString(testkit.Head(path, header))
		if resp := again.ReadResponse(); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("again: %s", resp.Status)
		}
	}
	if _, page := get(t, n, "/metrics"); !strings.Contains(page, `sluice_handshake_rejections_total{reason="ticket_unknown"} 2`) {
		t.Error("the refusals are not counted")
	}
}
