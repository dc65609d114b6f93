package node

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/auth"
	"sluice/engine"
	"sluice/internal/config"
	"sluice/internal/testkit"
	"sluice/sockjs"
)

// oracle is a provider of opaque tokens: it may be slow, away, and back.
type oracle struct {
	*httptest.Server
	mu    sync.Mutex
	away  bool           // guarded by mu
	held  chan struct{}  // guarded by mu; nil, or answers wait until it is closed
	asked map[string]int // guarded by mu; by token
}

func startOracle(t *testing.T) *oracle {
	o := &oracle{asked: map[string]int{}}
	o.Server = httptest.NewServer(http.HandlerFunc(o.introspect))
	t.Cleanup(o.Close)
	return o
}

func (o *oracle) introspect(w http.ResponseWriter, r *http.Request) {
	token := r.PostFormValue("token")
	if _, secret, _ := r.BasicAuth(); secret != "the-secret" || r.URL.Path != "/introspect" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	o.mu.Lock()
	o.asked[token]++
	away, held := o.away, o.held
	o.mu.Unlock()
	if held != nil {
		<-held
	}
	user, active := strings.CutPrefix(token, "user-")
	switch {
	case away:
		w.WriteHeader(http.StatusBadGateway)
	case active:
		fmt.Fprintf(w, `{"active":true,"sub":%q,"aud":"sluice"}`, user)
	default:
		io.WriteString(w, `{"active":false}`)
	}
}

func (o *oracle) setAway(away bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.away = away
}

// hold has answers wait until release is called.
func (o *oracle) hold() (release func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	held := make(chan struct{})
	o.held = held
	return sync.OnceFunc(func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.held = nil
		close(held)
	})
}

func (o *oracle) times(token string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked[token]
}

// node runs one whose clients' tokens are the oracle's.
func (o *oracle) node(t *testing.T, timeout time.Duration) *Node {
	return startNode(t, func(c *config.Config) {
		c.Auth.Issuers = []auth.Issuer{{
			Issuer: o.URL, JWKSURL: auth.NoJWKS, Audience: []string{"sluice"},
			Introspection: auth.Introspection{
				URL: o.URL + "/introspect", ClientID: "sluice", ClientSecret: "the-secret",
				BreakerFailures: 3, BreakerPause: 300 * time.Millisecond,
			},
		}}
		c.Engine = engine.Config{Loops: 1, HandshakeTimeout: timeout} // one loop, so that nobody else's is blocked
		c.EchoPath = "/echo"
		c.SockJS, c.SSE.Enable = sockjs.Config{Enable: true}, true
	})
}

// ask sends an opening handshake.
func ask(t *testing.T, n *Node, token string) *testkit.Conn {
	t.Helper()
	c := testkit.Dial(t, "tcp", n.Addrs()[0].String())
	c.WriteString(testkit.Head("/client/hubs/chat", subprotocol, "Authorization: Bearer "+token))
	return c
}

// shows waits for a line on the page of metrics.
func shows(t *testing.T, n *Node, line string) {
	t.Helper()
	testkit.Eventually(t, testkit.Patience, func() bool {
		_, page := get(t, n, "/metrics")
		return strings.Contains(page, "\n"+line+"\n")
	}, line)
}

// TestHandshakesWaitForAProvider: clients wait for a provider that is slow, over
// every transport, while the others of their loop go on.
func TestHandshakesWaitForAProvider(t *testing.T) {
	testkit.NoLeaks(t)
	o := startOracle(t)
	n := o.node(t, 2*testkit.Patience)
	echo := testkit.Dial(t, "tcp", n.Addrs()[0].String())
	echo.Open("/echo")
	release := o.hold()
	defer release()
	var clients []*testkit.Conn
	for i := range 20 {
		clients = append(clients, ask(t, n, fmt.Sprintf("user-%d", i%4)))
	}
	bad := ask(t, n, "nobody")
	polled := make(chan int, 1)
	go func() {
		resp, err := http.Post("http://"+n.Addrs()[0].String()+"/sockjs/hubs/chat/0/abcdefgh/xhr?access_token=user-polling", "", nil)
		if err != nil {
			t.Error(err)
			polled <- 0
			return
		}
		resp.Body.Close()
		polled <- resp.StatusCode
	}()
	stream := testkit.Dial(t, "tcp", n.Addrs()[0].String())
	stream.WriteString("GET /sse/hubs/chat HTTP/1.1\r\nHost: sluice\r\nAuthorization: Bearer user-streaming\r\n\r\n")
	shows(t, n, "sluice_waiting_handshakes 21")
	testkit.Eventually(t, testkit.Patience, func() bool { return o.times("user-polling") == 1 }, "SockJS has asked")
	testkit.Eventually(t, testkit.Patience, func() bool { return o.times("user-streaming") == 1 }, "the stream has asked")
	for range 3 {
		echo.WriteText("hello")
		echo.ExpectText("hello")
	}
	house := ask(t, n, mint(t, auth.Claims{User: "u"}))
	if got := house.ReadResponse().StatusCode; got != http.StatusSwitchingProtocols {
		t.Errorf("a token of the house, meanwhile: %d", got)
	}
	release()
	for i, c := range clients {
		if got := c.ReadResponse().StatusCode; got != http.StatusSwitchingProtocols {
			t.Fatalf("client %d: %d", i, got)
		}
		if got := c.ReadText(); !strings.Contains(got, fmt.Sprintf(`"userId":"%d"`, i%4)) {
			t.Errorf("client %d is greeted with %s", i, got)
		}
	}
	if got := bad.ReadResponse().StatusCode; got != http.StatusUnauthorized {
		t.Errorf("a token that is not active: %d", got)
	}
	if got := <-polled; got != http.StatusOK {
		t.Errorf("SockJS: %d", got)
	}
	if got := stream.ReadResponse().StatusCode; got != http.StatusOK {
		t.Errorf("a stream: %d", got)
	}
	for i := range 4 {
		if got := o.times(fmt.Sprintf("user-%d", i)); got != 1 {
			t.Errorf("asked %d times about one token", got)
		}
	}
	for _, line := range []string{
		"sluice_waiting_handshakes 0",
		`sluice_introspections_total{result="active"} 6`,
		`sluice_introspections_total{result="inactive"} 1`,
		"sluice_introspection_cache_entries 7",
		`sluice_handshake_rejections_total{reason="token_inactive"} 1`,
	} {
		shows(t, n, line)
	}
}

// TestProviderTooSlow: whoever waits gets 503 at the end of the handshake's time.
func TestProviderTooSlow(t *testing.T) {
	o := startOracle(t)
	release := o.hold()
	defer release()
	c := ask(t, o.node(t, 100*time.Millisecond), "user-a")
	r := c.ReadResponse()
	if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		t.Errorf("status %d, Retry-After %q", r.StatusCode, r.Header.Get("Retry-After"))
	}
}

// TestProviderDown: its clients get 503 at once, the breaker shows, those whose
// tokens are remembered come in, and all do when it is back.
func TestProviderDown(t *testing.T) {
	testkit.NoLeaks(t)
	o := startOracle(t)
	n := o.node(t, 2*testkit.Patience)
	status := func(token string) int {
		t.Helper()
		c := ask(t, n, token)
		defer c.Close()
		return c.ReadResponse().StatusCode
	}
	open := fmt.Sprintf("sluice_issuer_breaker_open{issuer=%q,source=\"introspection\"} ", o.URL)
	if got := status("user-known"); got != http.StatusSwitchingProtocols {
		t.Fatalf("status %d", got)
	}
	shows(t, n, open+"0")
	o.setAway(true)
	for i := range 3 {
		if got := status(fmt.Sprintf("user-%d", i)); got != http.StatusServiceUnavailable {
			t.Errorf("status %d", got)
		}
	}
	shows(t, n, open+"1")
	if got := status("user-known"); got != http.StatusSwitchingProtocols {
		t.Errorf("a token that is remembered: %d", got)
	}
	if got := status("user-late"); got != http.StatusServiceUnavailable {
		t.Errorf("status %d", got)
	}
	o.setAway(false)
	testkit.Eventually(t, testkit.Patience, func() bool { return status("user-late") == http.StatusSwitchingProtocols }, "the provider is asked again")
	shows(t, n, open+"0")
}

// TestKeysAreWaitedFor: a client comes in whose provider publishes its keys while it
// waits, and where there are no other keys nobody calls the API.
func TestKeysAreWaitedFor(t *testing.T) {
	p := startProvider(t)
	gate := make(chan struct{})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-gate
		p.Config.Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	p.setAway(false)
	n := startNode(t, func(c *config.Config) {
		c.Auth.Keys = nil // providers alone will do
		c.Auth.Issuers = []auth.Issuer{{
			Issuer: p.URL, JWKSURL: front.URL + "/keys", Audience: []string{"sluice"}, Claims: auth.ClaimNames{User: "preferred_username"},
		}}
		c.Engine.HandshakeTimeout = 2 * testkit.Patience
	})
	c := testkit.Dial(t, "tcp", n.Addrs()[0].String())
	c.WriteString(testkit.Head("/client/hubs/chat?access_token="+p.token(t, "ann"), subprotocol))
	shows(t, n, "sluice_waiting_handshakes 1")
	close(gate)
	if got := c.ReadResponse().StatusCode; got != http.StatusSwitchingProtocols {
		t.Errorf("status %d", got)
	}
	resp, err := http.Post("http://"+n.OpsAddr().String()+"/api/hubs/chat/:send", "text/plain", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusUnauthorized || !strings.Contains(string(b), "auth.keys") {
		t.Errorf("a call without any keys: %d %s", resp.StatusCode, b)
	}
}
