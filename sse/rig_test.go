package sse

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/auth"
	"sluice/engine"
	"sluice/hub"
	"sluice/hub/wire"
	"sluice/internal/testkit"
)

// overloaded is a loop that takes nothing.
type overloaded struct{ hub.Loop }

func (overloaded) Post(hub.Task) bool { return false }

// rig is a server of streams before a hub, with an address.
type rig struct {
	*testing.T
	server *Server
	hub    *hub.Hub
	base   string

	mu      sync.Mutex
	expires time.Time      // guarded by mu: of the tokens
	refused map[string]int // guarded by mu
	dropped map[string]int // guarded by mu
}

// newRig lets everybody in whose query says token=good, into the groups "g", whose
// last 100 messages are kept, and "plain", which has no history. Others that begin
// with "g" may be joined.
func newRig(t *testing.T, cfg Config, change func(*hub.Tenant)) *rig {
	testkit.NoLeaks(t)
	r := &rig{T: t, refused: map[string]int{}, dropped: map[string]int{}}
	tenant := hub.Tenant{Groups: []hub.GroupRule{{Match: "g*", HistoryMessages: 100}}}
	if change != nil {
		change(&tenant)
	}
	node := hub.New(hub.Config{Hubs: map[string]hub.Tenant{"chat": tenant}}.WithDefaults(), 1)
	r.hub, _ = node.Hub("chat")
	permissions, _ := auth.CompileRoles([]string{"sluice.joinLeaveGroups.g*"})
	r.server = New(cfg, Options{
		Loops:       []hub.Loop{testkit.NewLoop(t)},
		AllowOrigin: func(_, origin, _ string) bool { return origin != "https://evil.example" },
		Admit: func(req *http.Request, _ string) (Admission, *engine.Refusal) {
			q := req.URL.Query()
			switch q.Get("token") {
			case "good":
			case "comeback":
				return Admission{}, nil
			default:
				return Admission{}, &engine.Refusal{Status: http.StatusUnauthorized, Label: "token_missing", Reason: "no token"}
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			return Admission{Permissions: permissions, Expires: r.expires, Listen: func(l hub.Loop, link hub.Link, w hub.Listening) (*hub.Session, []hub.Recollection, error) {
				return r.hub.OpenListener(l, link, auth.Identity{User: "u", Permissions: permissions, Groups: []string{"g", "plain"}}, wire.JSONv1{}, w)
			}}, nil
		},
		Refused: func(reason string) { r.count(r.refused, reason) },
		Dropped: func(reason string) { r.count(r.dropped, reason) },
	})
	s := httptest.NewUnstartedServer(r.server)
	s.Config.ReadTimeout, s.Config.WriteTimeout = time.Second, time.Second // the streams last longer
	s.Start()
	r.base = s.URL
	t.Cleanup(s.Close)
	t.Cleanup(r.server.Close)
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	return r
}

func (r *rig) count(m map[string]int, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m[reason]++
}

func (r *rig) counted(m map[string]int, reason string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return m[reason]
}

// send sends a text to a group, as a service.
func (r *rig) send(group, text string) {
	r.Helper()
	if err := r.hub.SendToGroup(group, &hub.Outgoing{DataType: wire.Text, Data: []byte(text)}, hub.Selection{}); err != nil {
		r.Fatal(err)
	}
}

// waitSessions waits until the hub has so many sessions.
func (r *rig) waitSessions(n int64) {
	r.Helper()
	testkit.Eventually(r, testkit.Patience, func() bool { return r.hub.Stats().Sessions == n }, "the number of sessions")
}

// open makes one request and leaves the answer to be read.
func (r *rig) open(method, path string, headers ...string) *http.Response {
	r.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, nil)
	if err != nil {
		r.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		cancel()
		r.Fatal(err)
	}
	r.Cleanup(func() { cancel(); resp.Body.Close() })
	return resp
}

// event is one event as it was read.
type event struct{ id, name, data, retry string }

// reader is an answer under way.
type reader struct {
	*testing.T
	body  io.Closer
	lines *bufio.Reader
	last  string // id
}

const good = "/sse/hubs/chat?token=good"

// stream opens a stream and reads what comes before the first message: `connected`,
// and the history info of the groups.
func (r *rig) stream(path string, headers ...string) *reader {
	r.Helper()
	resp := r.open(http.MethodGet, path, headers...)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		body, _ := io.ReadAll(resp.Body)
		r.Fatalf("%s %q %q", resp.Status, resp.Header.Get("Content-Type"), body)
	}
	s := &reader{T: r.T, body: resp.Body, lines: bufio.NewReader(resp.Body)}
	if e := s.next(); !strings.Contains(e.data, `"event":"connected"`) || e.name != "message" || e.retry == "" {
		r.Fatalf("the first event is %v", e)
	}
	return s
}

// next reads one event; comments are passed over. At the end of the stream it is
// empty.
func (s *reader) next() (e event) {
	s.Helper()
	for {
		line, err := s.lines.ReadString('\n')
		if err == io.EOF && line == "" && e == (event{}) {
			return e
		}
		if err != nil {
			s.Fatalf("%q, %v", line, err)
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case ":": // a comment
		case "":
			if e != (event{}) {
				return e
			}
		case "id":
			e.id, s.last = value, value
		case "event":
			e.name = value
		case "data":
			e.data += value
		case "retry":
			e.retry = value
		default:
			s.Fatalf("a field %q", line)
		}
	}
}

// expect reads events that hold these.
func (s *reader) expect(wants ...string) {
	s.Helper()
	for _, want := range wants {
		if e := s.next(); !strings.Contains(e.data, want) {
			s.Errorf("got %v, want %s", e, want)
		}
	}
}

// expectEnd reads the end of the stream.
func (s *reader) expectEnd() {
	s.Helper()
	if e := s.next(); e != (event{}) {
		s.Errorf("after the last event: %v", e)
	}
}
