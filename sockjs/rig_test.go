package sockjs

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/auth"
	"sluice/engine"
	"sluice/hub"
	"sluice/hub/wire"
	"sluice/internal/later"
	"sluice/internal/testkit"
)

// run runs something on the loop and waits for it.
func (r *rig) run(f func()) {
	done := make(chan struct{})
	r.loop.Post(task(func() { defer close(done); f() }))
	<-done
}

// rig is a server of SockJS before a hub, with an address.
type rig struct {
	*testing.T
	server *Server
	loop   *testkit.Loop
	hub    *hub.Hub
	base   string

	room   later.Room
	answer *later.Event // that clients with a token slow… wait for
	known  atomic.Bool  // it is there

	mu      sync.Mutex
	refused map[string]int // guarded by mu
	dropped map[string]int // guarded by mu
}

// newRig lets everybody in whose query says token=good, and token=slow when that is
// known.
func newRig(t *testing.T, cfg Config) *rig {
	r := &rig{T: t, loop: testkit.NewLoop(t), refused: map[string]int{}, dropped: map[string]int{}, room: later.Room{Most: 2}}
	r.answer = later.NewEvent(&r.room)
	node := hub.New(hub.Config{CreateOnFirstUse: true, Defaults: hub.Tenant{}}.WithDefaults(), 1)
	r.hub, _ = node.Hub("chat")
	permissions, _ := auth.CompileRoles([]string{"sluice.joinLeaveGroup", "sluice.sendToGroup"})
	r.server = New(cfg, Options{
		Loops:       []hub.Loop{r.loop},
		AllowOrigin: func(_, origin, _ string) bool { return origin != "https://evil.example" },
		Admit: func(req *http.Request, _ string, offered []string) (Admission, *engine.Refusal) {
			token := req.URL.Query().Get("access_token")
			if token == "slow" && !r.known.Load() {
				return Admission{}, &engine.Refusal{Status: http.StatusServiceUnavailable, Label: "issuer_unavailable", Reason: "not known yet", RetryAfter: time.Second, Later: r.answer}
			}
			if !strings.HasPrefix(token, "good") && token != "slow" {
				return Admission{}, &engine.Refusal{Status: http.StatusUnauthorized, Label: "token_missing", Reason: "no token"}
			}
			g, subprotocol, ok := wire.Select(offered, false)
			if !ok {
				return Admission{}, &engine.Refusal{Status: http.StatusBadRequest, Label: "subprotocol", Reason: "none that is known"}
			}
			return Admission{Subprotocol: subprotocol, Open: func(l hub.Loop, link hub.Link) (*hub.Session, error) {
				return r.hub.Open(l, link, auth.Identity{User: "u", Permissions: permissions, Groups: []string{"g"}}, g)
			}}, nil
		},
		Refused: func(reason string) { r.count(r.refused, reason) },
		Dropped: func(reason string) { r.count(r.dropped, reason) },
	})
	s := httptest.NewServer(r.server)
	r.base = s.URL + "/sockjs/hubs/chat"
	t.Cleanup(s.Close)
	t.Cleanup(r.server.Close)
	return r
}

func (r *rig) count(m map[string]int, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m[reason]++
}

// waitSessions waits until the hub has so many sessions.
func (r *rig) waitSessions(n int64) {
	r.Helper()
	testkit.Eventually(r, testkit.Patience, func() bool { return r.hub.Stats().Sessions == n }, "the number of sessions")
}

const query = "?access_token=good&subprotocol=json.sluice.v1"

// do makes one request; headers are pairs.
func (r *rig) do(method, path, body string, headers ...string) (*http.Response, string) {
	r.Helper()
	resp := r.open(context.Background(), method, path, body, headers...)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.Fatal(err)
	}
	return resp, string(b)
}

// open makes one request and leaves the answer to be read.
func (r *rig) open(ctx context.Context, method, path, body string, headers ...string) *http.Response {
	r.Helper()
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, strings.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		r.Fatal(err)
	}
	return resp
}

// expect makes a request and looks at the answer.
func (r *rig) expect(method, path, body string, status int, want string) {
	r.Helper()
	if resp, got := r.do(method, path, body); resp.StatusCode != status || got != want {
		r.Errorf("%s %s: %d %q, want %d %q", method, path, resp.StatusCode, got, status, want)
	}
}

// stream is an answer under way.
type stream struct {
	*testing.T
	lines *bufio.Reader
	end   context.CancelFunc
}

func (r *rig) stream(path string) *stream {
	r.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	resp := r.open(ctx, http.MethodPost, path, "")
	r.Cleanup(func() { cancel(); resp.Body.Close() })
	s := &stream{r.T, bufio.NewReader(resp.Body), cancel}
	if got := s.line(); got != strings.Repeat("h", 2048) {
		r.Fatalf("prelude: %q", got)
	}
	return s
}

func (s *stream) line() string {
	s.Helper()
	line, err := s.lines.ReadString('\n')
	if err != nil {
		s.Fatalf("%q, %v", line, err)
	}
	return strings.TrimSuffix(line, "\n")
}

func (s *stream) expect(want string) {
	s.Helper()
	if got := s.line(); got != want {
		s.Errorf("got %q, want %q", got, want)
	}
}
