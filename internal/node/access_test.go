package node

import (
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/access"
	"sluice/api"
	"sluice/auth"
	"sluice/engine"
	"sluice/hub"
	"sluice/internal/config"
	"sluice/internal/testkit"
)

// behindProxy has the node believe what this machine tells in X-Forwarded-For.
func behindProxy(c *config.Config) {
	c.Proxy = engine.ProxyConfig{Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Header: "X-Forwarded-For"}
}

// from opens a WebSocket as a client of that address, and returns the status.
func from(t *testing.T, n *Node, address, path string) (*testkit.Conn, *http.Response) {
	t.Helper()
	c := testkit.Dial(t, "tcp", n.Addrs()[0].String())
	c.WriteString(testkit.Head(path, subprotocol, "X-Forwarded-For: "+address))
	return c, c.ReadResponse()
}

// askFrom makes a request without a body as a client of that address, and returns the
// status; a stream ends with it.
func askFrom(t *testing.T, n *Node, address, method, path string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+n.Addrs()[0].String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Forwarded-For", address)
	r.Close = true
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func counted(t *testing.T, n *Node, series string, want int) {
	t.Helper()
	if _, page := get(t, n, "/metrics"); !strings.Contains(page, "\n"+series+" "+strconv.Itoa(want)+"\n") {
		i := strings.Index(page, "\n"+series)
		t.Errorf("%s is not %d: %.100s", series, want, page[max(i, 0):])
	}
}

// TestAddressRules: the rules of all hubs and of one, from the configuration and by
// the API, and those that are only tried out.
func TestAddressRules(t *testing.T) {
	n := startNode(t, func(c *config.Config) {
		behindProxy(c)
		c.Access.Rules = access.Rules{Deny: []string{"192.0.2.0/24"}, Shadow: access.ShadowRules{Deny: []string{"198.51.100.7"}}}
		c.Hub.Hubs = map[string]hub.Tenant{"office": {Addresses: access.Rules{Allow: []string{"203.0.113.0/24"}}}}
	})
	const chat = "/client/hubs/chat?access_token="
	token := mint(t, auth.Claims{})
	office, err := auth.Mint([]byte(testKey), auth.Claims{Hub: "office", TTL: time.Hour}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	step := func(address, path string, want int) *testkit.Conn {
		t.Helper()
		c, resp := from(t, n, address, path)
		if resp.StatusCode != want {
			body, _ := io.ReadAll(resp.Body)
			t.Errorf("%s at %.20s: %s %s, want %d", address, path, resp.Status, body, want)
		}
		return c
	}
	step("192.0.2.1", chat+token, 403)
	step("192.0.2.1", chat+"nonsense", 403) // the token is not even looked at
	step("198.51.100.7", chat+token, 101)
	step("198.51.100.7", "/client/hubs/office?access_token="+office, 403)
	step("203.0.113.7", "/client/hubs/office?access_token="+office, 101)
	counted(t, n, `sluice_handshake_rejections_total{reason="address_denied"}`, 3)
	counted(t, n, "sluice_address_shadow_refusals_total", 2)
	counted(t, n, `sluice_address_rules{list="deny"}`, 1)

	stays := step("203.0.113.8", chat+token, 101)
	stays.ReadText()
	b := &backEnd{t, "http://" + n.OpsAddr().String() + "/api", testKey}
	b.want(201, "PUT", "/node/addressRules/deny?range=203.0.113.8", "", "")
	step("203.0.113.8", chat+token, 403)
	b.want(204, "DELETE", "/node/addressRules/deny?range=203.0.113.8", "", "")
	b.want(201, "PUT", "/hubs/chat/addressRules/allow?range=203.0.113.8", "", "")
	step("203.0.113.8", chat+token, 101)
	step("203.0.113.9", chat+token, 403)
	// Who is connected stays.
	b.want(202, "POST", "/hubs/chat/:send", "text/plain", "hello")
	stays.ReadText()
	other := &backEnd{t, b.base, "another key that is long enough, too"}
	other.want(401, "PUT", "/node/addressRules/deny?range=0.0.0.0/0", "", "")
	public, err := http.Get("http://" + n.Addrs()[0].String() + "/api/node/bans")
	if err != nil {
		t.Fatal(err)
	}
	public.Body.Close()
	if public.StatusCode/100 == 2 {
		t.Errorf("calls about the node on the clients' port: %s", public.Status)
	}
}

// TestAddressRuleFile: a file that changes is used; one that is broken is not.
func TestAddressRuleFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deny.txt")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	n := startNode(t, func(c *config.Config) {
		behindProxy(c)
		c.Access.Rules.DenyFile = path
		c.Access.ReloadInterval = time.Second
	})
	status := func() int {
		_, resp := from(t, n, "192.0.2.1", "/client/hubs/chat?access_token="+mint(t, auth.Claims{}))
		return resp.StatusCode
	}
	if got := status(); got != 101 {
		t.Fatalf("before: %d", got)
	}
	write("192.0.2.0/24 # since yesterday\n")
	testkit.Eventually(t, testkit.Patience, func() bool { return status() == 403 }, "the file is in force")
	write("what?\n")
	testkit.Eventually(t, testkit.Patience, func() bool {
		_, page := get(t, n, "/metrics")
		return !strings.Contains(page, `sluice_address_rule_reloads_total{result="failed"} 0`)
	}, "the broken file is noticed")
	if got := status(); got != 403 {
		t.Errorf("with a broken file: %d", got)
	}
}

// TestBans: who guesses tokens is shut out for a while, on every way in, and nobody
// else.
func TestBans(t *testing.T) {
	n := startNode(t, func(c *config.Config) {
		behindProxy(c)
		c.API = api.Config{Public: true}
		c.Access.MaxFailuresPerMinute = 3
	})
	const path = "/client/hubs/chat?access_token="
	for i, want := range []int{401, 401, 401, 401, 429, 429} {
		_, resp := from(t, n, "192.0.2.1", path+"a.b.c")
		if resp.StatusCode != want || want == 429 && resp.Header.Get("Retry-After") == "" {
			t.Errorf("try %d: %s %v", i, resp.Status, resp.Header)
		}
	}
	good := path + mint(t, auth.Claims{})
	if _, resp := from(t, n, "192.0.2.1", good); resp.StatusCode != 429 {
		t.Errorf("a good token of the banned address: %s", resp.Status)
	}
	if _, resp := from(t, n, "192.0.2.2", good); resp.StatusCode != 101 {
		t.Errorf("another address: %s", resp.Status)
	}
	call := func(address string) int {
		t.Helper()
		return askFrom(t, n, address, "POST", "/api/hubs/chat/:send")
	}
	if got := call("192.0.2.1"); got != 429 {
		t.Errorf("an API call of the banned address: %d", got)
	}
	for range 4 {
		call("192.0.2.3")
	}
	if got := call("192.0.2.3"); got != 429 {
		t.Errorf("after calls without a token: %d", got)
	}
	counted(t, n, "sluice_address_bans_total", 2)
	b := &backEnd{t, "http://" + n.OpsAddr().String() + "/api/node", testKey}
	if list := b.want(200, "GET", "/bans", "", ""); !strings.Contains(list, `"192.0.2.1"`) {
		t.Errorf("bans: %s", list)
	}
	b.want(204, "DELETE", "/bans/192.0.2.1", "", "")
	if _, resp := from(t, n, "192.0.2.1", good); resp.StatusCode != 101 {
		t.Errorf("after the ban was ended: %s", resp.Status)
	}
	// A token that was good once is no guess.
	old, err := auth.Mint([]byte(testKey), auth.Claims{Hub: "chat", TTL: time.Second}, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, resp := from(t, n, "192.0.2.4", path+old); resp.StatusCode != 401 {
			t.Errorf("an expired token: %s", resp.Status)
		}
	}
}

// TestHandshakeRates: of one address, and of the node.
func TestHandshakeRates(t *testing.T) {
	n := startNode(t, func(c *config.Config) {
		behindProxy(c)
		c.Access.MaxHandshakesPerSecond, c.Access.HandshakeBurst, c.Access.MaxNodeHandshakesPerSecond = 1, 2, 10
	})
	count := func(address string, tries int) map[int]int {
		statuses := map[int]int{}
		for range tries {
			_, resp := from(t, n, address, "/client/hubs/chat?access_token="+mint(t, auth.Claims{}))
			statuses[resp.StatusCode]++
			if resp.StatusCode != 101 && resp.Header.Get("Retry-After") == "" {
				t.Errorf("%s without Retry-After", resp.Status)
			}
		}
		return statuses
	}
	if got := count("192.0.2.1", 8); got[101] < 2 || got[429] == 0 {
		t.Errorf("one address: %v", got)
	}
	if got := count("10.0.0.1", 40); got[101] == 0 || got[503] == 0 {
		t.Errorf("all addresses: %v", got)
	}
}

// TestClientsOverHTTPByAddress: sessions and streams count among the connections of
// an address, and no more when they have ended.
func TestClientsOverHTTPByAddress(t *testing.T) {
	n := startNode(t, func(c *config.Config) {
		behindProxy(c)
		c.SockJS.Enable, c.SSE.Enable = true, true
		c.SockJS.DisconnectDelay = 50 * time.Millisecond
		c.Access.MaxConnections = 1
	})
	token := mint(t, auth.Claims{})
	ask := func(method, path string) int {
		t.Helper()
		return askFrom(t, n, "192.0.2.1", method, path+"?access_token="+token)
	}
	const session, stream = "/sockjs/hubs/chat/000/", "/sse/hubs/chat"
	ws, resp := from(t, n, "192.0.2.1", "/client/hubs/chat?access_token="+token)
	if resp.StatusCode != 101 {
		t.Fatalf("a WebSocket: %s", resp.Status)
	}
	if a, b := ask("POST", session+"one/xhr"), ask("GET", stream); a != 429 || b != 429 {
		t.Errorf("beside a WebSocket: session %d, stream %d", a, b)
	}
	ws.Reset()
	testkit.Eventually(t, testkit.Patience, func() bool { return ask("GET", stream) == 200 }, "a stream when the WebSocket has gone")
	testkit.Eventually(t, testkit.Patience, func() bool { return ask("POST", session+"two/xhr") == 200 }, "a session when the stream has gone")
	testkit.Eventually(t, testkit.Patience, func() bool { return ask("GET", stream) == 200 }, "a stream when the session has gone")
}

// TestSockJSGuessing: who guesses sessions is banned like who guesses tokens.
func TestSockJSGuessing(t *testing.T) {
	n := startNode(t, func(c *config.Config) {
		behindProxy(c)
		c.SockJS.Enable = true
		c.Access.MaxFailuresPerMinute = 2
	})
	post := func(address, token string) int {
		t.Helper()
		return askFrom(t, n, address, "POST", "/sockjs/hubs/chat/000/mine/xhr?access_token="+token)
	}
	if got := post("192.0.2.1", mint(t, auth.Claims{User: "alice"})); got != 200 {
		t.Fatalf("open: %d", got)
	}
	mallory := mint(t, auth.Claims{User: "mallory"})
	for i, want := range []int{404, 404, 404, 429} {
		if got := post("192.0.2.66", mallory); got != want {
			t.Errorf("guess %d: %d, want %d", i, got, want)
		}
	}
}

// TestEchoByAddress: the path without a token is not one around the rules either.
func TestEchoByAddress(t *testing.T) {
	n := startNode(t, func(c *config.Config) {
		behindProxy(c)
		c.EchoPath = "/echo"
		c.Access.Rules = access.Rules{Deny: []string{"192.0.2.0/24"}}
	})
	for address, want := range map[string]int{"192.0.2.1": 403, "198.51.100.1": 101} {
		if _, resp := from(t, n, address, "/echo"); resp.StatusCode != want {
			t.Errorf("%s: %s, want %d", address, resp.Status, want)
		}
	}
}

// TestSessionsWithoutToken: who says to come back to a session, and has none, takes
// no room of others and is not counted among the clients.
func TestSessionsWithoutToken(t *testing.T) {
	n := startNode(t, func(c *config.Config) {
		c.SockJS.Enable = true
		c.SockJS.MaxSessions, c.SockJS.DisconnectDelay = 16, time.Second
	})
	post := func(path string) (int, string) {
		t.Helper()
		resp, err := http.Post("http://"+n.Addrs()[0].String()+path, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	const nobody = "/xhr?connection_id=AAAAAAAAAAAAAAAAAAAAAA&reconnection_token=x"
	for i, want := range []int{200, 200, 503, 503} {
		if got, _ := post("/sockjs/hubs/chat/000/" + strconv.Itoa(i) + nobody); got != want {
			t.Errorf("session %d: %d, want %d", i, got, want)
		}
	}
	if got, _ := post("/sockjs/hubs/chat/000/mine/xhr?access_token=" + mint(t, auth.Claims{})); got != 200 {
		t.Errorf("a client with a token: %d", got)
	}
	counted(t, n, `sluice_hub_connections{hub="chat",transport="sockjs_xhr"}`, 1)
	if _, body := post("/sockjs/hubs/chat/000/0" + nobody); !strings.HasPrefix(body, "c[1008,") {
		t.Errorf("the session is closed with %q", body)
	}
	testkit.Eventually(t, testkit.Patience, func() bool {
		got, _ := post("/sockjs/hubs/chat/000/again" + nobody)
		return got == 200
	}, "there is room when they have been told")
}
