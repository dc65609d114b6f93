package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/auth"
	"sluice/hub"
	"sluice/hub/wire"
)

// fakeHub writes down what it is asked, and answers with err.
type fakeHub struct {
	log []string
	err error
}

func (f *fakeHub) note(format string, args ...any) error {
	f.log = append(f.log, fmt.Sprintf(format, args...))
	return f.err
}

// fakeSubject is the connection that filters are tried on.
type fakeSubject struct{}

func (fakeSubject) ConnectionID() string  { return "c1" }
func (fakeSubject) UserID() string        { return "alice" }
func (fakeSubject) InGroup(g string) bool { return g == "vip" }
func (fakeSubject) Groups() []string      { return []string{"vip"} }
func (fakeSubject) Subprotocol() string   { return "json.sluice.v1" }

func selected(s hub.Selection) string {
	text := ""
	if len(s.Excluded) > 0 {
		text = fmt.Sprint(" but ", s.Excluded)
	}
	if s.Match != nil {
		text += fmt.Sprint(" if ", s.Match(fakeSubject{}))
	}
	return text
}

func outgoing(m *hub.Outgoing) string {
	text := fmt.Sprintf("%v %q", m.DataType, m.Data)
	if m.TTL > 0 {
		text += fmt.Sprint(" ttl ", m.TTL)
	}
	if m.ConflationKey != "" {
		text += " key " + m.ConflationKey
	}
	return text
}

func (f *fakeHub) SendToAll(m *hub.Outgoing, s hub.Selection) error {
	return f.note("send all %s%s", outgoing(m), selected(s))
}
func (f *fakeHub) SendToGroup(group string, m *hub.Outgoing, s hub.Selection) error {
	return f.note("send group %q %s%s", group, outgoing(m), selected(s))
}
func (f *fakeHub) SendToUser(user string, m *hub.Outgoing, s hub.Selection) error {
	return f.note("send user %q %s%s", user, outgoing(m), selected(s))
}
func (f *fakeHub) SendToConnection(id string, m *hub.Outgoing) error {
	return f.note("send connection %q %s", id, outgoing(m))
}
func (f *fakeHub) CloseAll(s hub.Selection, reason string) error {
	return f.note("close all %q%s", reason, selected(s))
}
func (f *fakeHub) CloseGroup(group string, s hub.Selection, reason string) error {
	return f.note("close group %q %q%s", group, reason, selected(s))
}
func (f *fakeHub) CloseUser(user string, s hub.Selection, reason string) error {
	return f.note("close user %q %q%s", user, reason, selected(s))
}
func (f *fakeHub) CloseConnection(id, reason string) error {
	return f.note("close connection %q %q", id, reason)
}
func (f *fakeHub) HasConnection(id string) bool { return id == "c1" }
func (f *fakeHub) HasUser(user string) bool     { return user == "alice" }
func (f *fakeHub) HasGroup(group string) bool   { return group == "vip" }
func (f *fakeHub) UserConnections(user string) []hub.ConnectionInfo {
	if user != "alice" {
		return nil
	}
	return []hub.ConnectionInfo{{ID: "c1", User: "alice"}, {ID: "c2", User: "alice"}}
}
func (f *fakeHub) GroupConnections(_ context.Context, group, after string, limit int) ([]hub.ConnectionInfo, string, error) {
	if after == "strange" {
		return nil, "", hub.ErrNoConnection
	}
	err := f.note("list %q after %q, %d", group, after, limit)
	var all []hub.ConnectionInfo
	for i := range 5 {
		if id := fmt.Sprint("c", i); id > after {
			all = append(all, hub.ConnectionInfo{ID: id})
		}
	}
	if len(all) <= limit {
		return all, "", err
	}
	return all[:limit], all[limit-1].ID, err
}
func (f *fakeHub) Presence(group string) []wire.StateItem {
	if group != "vip" {
		return nil
	}
	return []wire.StateItem{
		{ConnectionID: "c1", UserID: "alice", HasState: true, State: []wire.Pair{{Key: []byte("mood"), Value: []byte("good")}}, UpdatedAt: 1},
		{ConnectionID: "c2", UpdatedAt: 2},
	}
}
func (f *fakeHub) History(group string, since uint64, epoch string, last int) (hub.HistoryPage, error) {
	f.note("history of %q since %d of %q, last %d", group, since, epoch, last)
	if group != "vip" {
		return hub.HistoryPage{}, hub.ErrNoHistory
	}
	at := time.UnixMilli(1700000000000)
	return hub.HistoryPage{Epoch: "e", Offset: 9, Complete: true, Messages: []hub.HistoryMessage{
		{Message: wire.Message{Offset: 7, FromUser: "alice", DataType: wire.JSON, Data: []byte(`{"a": 1}`), Metadata: []wire.Pair{{Key: []byte("k"), Value: []byte("v")}}}, Time: at},
		{Message: wire.Message{Offset: 8, DataType: wire.Text, Data: []byte("hi")}, Time: at},
		{Message: wire.Message{Offset: 9, DataType: wire.Binary, Data: []byte{0, 255}}, Time: at},
	}}, nil
}
func (f *fakeHub) AddConnectionToGroup(_ context.Context, id, group string) error {
	return f.note("add %q to %q", id, group)
}
func (f *fakeHub) RemoveConnectionFromGroup(_ context.Context, id, group string) error {
	return f.note("remove %q from %q", id, group)
}
func (f *fakeHub) RemoveConnectionFromAllGroups(_ context.Context, id string) error {
	return f.note("remove %q from all", id)
}
func (f *fakeHub) AddUserToGroup(_ context.Context, user, group string) error {
	return f.note("add user %q to %q", user, group)
}
func (f *fakeHub) RemoveUserFromGroup(_ context.Context, user, group string) error {
	return f.note("remove user %q from %q", user, group)
}
func (f *fakeHub) RemoveUserFromAllGroups(_ context.Context, user string) error {
	return f.note("remove user %q from all", user)
}
func (f *fakeHub) AddToGroups(_ context.Context, groups []string, match func(hub.Subject) bool) error {
	return f.note("add to %q%s", groups, selected(hub.Selection{Match: match}))
}
func (f *fakeHub) RemoveFromGroups(_ context.Context, groups []string, match func(hub.Subject) bool) error {
	return f.note("remove from %q%s", groups, selected(hub.Selection{Match: match}))
}
func (f *fakeHub) Grant(_ context.Context, id string, a auth.Action, group string) error {
	return f.note("grant %q %d %q", id, a, group)
}
func (f *fakeHub) Revoke(_ context.Context, id string, a auth.Action, group string) error {
	return f.note("revoke %q %d %q", id, a, group)
}
func (f *fakeHub) CloseRevoked(revoked func(auth.Origin) bool, reason string) {
	_ = f.note("close revoked %q: %v", reason, revoked(auth.Origin{TokenID: "t", User: "u", IssuedAt: time.Unix(1000, 0)}))
}
func (f *fakeHub) Allowed(_ context.Context, id string, a auth.Action, group string) (bool, error) {
	return group == "vip", f.note("allowed %q %d %q", id, a, group)
}

var (
	_ Backend = (*fakeHub)(nil)
	_ Backend = (*hub.Hub)(nil)
)

// plane returns a data plane over one hub, "chat", that is held against its
// OpenAPI document.
func plane(t *testing.T, f *fakeHub) http.Handler {
	t.Helper()
	return checked(t, NewData(dataOf(f)))
}

func dataOf(f *fakeHub) Data {
	return Data{
		Hub: func(name string) (Backend, bool) { return f, name == "chat" },
		Authorize: func(r *http.Request, _ string) (func([]byte) error, error) {
			if r.Header.Get("Authorization") == "" {
				return nil, auth.Refuse(auth.TokenMissing, "the request carries no token")
			}
			return nil, nil
		},
		Revoke: func(hub string, what auth.Revocation, keep time.Duration) error {
			if what.TokenID == "full" {
				return auth.ErrRevocationsFull
			}
			return f.note("revoke %s %s%s for %v", hub, what.TokenID, what.User, keep)
		},
		Mint: func(c auth.Claims) (string, error) {
			if c.User == "nobody" {
				return "", errors.New("role: no such role")
			}
			return fmt.Sprint(c.Hub, " ", c.User, " ", c.Roles, " ", c.Groups, " ", c.TTL), nil
		},
		Ticket: func(c auth.Claims, life time.Duration) (string, error) {
			switch c.User {
			case "nobody":
				return "", errors.New("role: no such role")
			case "crowd":
				return "", auth.ErrTicketsFull
			}
			return fmt.Sprint(c.Hub, " ", c.User, " ", c.Roles, " ", c.Groups, " ", c.TTL, " within ", life), nil
		},
		MaxBody: 60,
	}
}

func ask(h http.Handler, method, target, contentType, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer x")
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestOperations(t *testing.T) {
	const (
		text = "text/plain"
		json = "application/json"
	)
	for _, tt := range []struct {
		request, contentType, body string
		status                     int
		want                       string // what the hub is asked, or the code of the problem
	}{
		{"POST /api/hubs/chat/:send", text, "hi", 202, `send all text "hi"`},
		{"POST /api/hubs/chat/:send", "text/plain; charset=UTF-8", "é", 202, `send all text "é"`},
		{"POST /api/hubs/chat/:send", json, `{"a": 1}`, 202, `send all json "{\"a\": 1}"`},
		{"POST /api/hubs/chat/:send", "", "\x00\xff", 202, `send all binary "\x00\xff"`},
		{"POST /api/hubs/chat/:send", "application/octet-stream", "", 202, `send all binary ""`},
		{"POST /api/hubs/chat/:send?excluded=a&excluded=b&filter='vip'+in+groups&messageTtlSeconds=60&conflationKey=k", text, "hi", 202,
			`send all text "hi" ttl 1m0s key k but [a b] if true`},
		{"POST /api/hubs/chat/:send?api-version=2024-12-01", text, "hi", 202, `send all text "hi"`},
		{"POST /api/hubs/chat/groups/g1/:send?excluded=a", text, "hi", 202, `send group "g1" text "hi" but [a]`},
		{"POST /api/hubs/chat/groups/a%2Fb%20c/:send", text, "hi", 202, `send group "a/b c" text "hi"`},
		{"POST /api/hubs/chat/groups/a%2F%2Fb/:send", text, "hi", 202, `send group "a//b" text "hi"`},
		{"POST /api/hubs/chat/users/u%40x/:send?filter=userId+eq+'bob'", text, "hi", 202, `send user "u@x" text "hi" if false`},
		{"POST /api/hubs/chat/connections/c9/:send", text, "hi", 202, `send connection "c9" text "hi"`},

		{"POST /api/hubs/chat/:send", "text/html", "hi", 415, codeMediaType},
		{"POST /api/hubs/chat/:send", "text/plain; charset=latin1", "hi", 415, codeMediaType},
		{"POST /api/hubs/chat/:send", "text/plain; charset", "hi", 415, codeMediaType},
		{"POST /api/hubs/chat/:send", json, `{"a": }`, 400, codeBadRequest},
		{"POST /api/hubs/chat/:send", json, "", 400, codeBadRequest},
		{"POST /api/hubs/chat/:send", json, "\"\xff\"", 400, codeBadRequest},
		{"POST /api/hubs/chat/:send", text, "\xff", 400, codeBadRequest},
		{"POST /api/hubs/chat/:send", text, strings.Repeat("x", 61), 413, codeTooLarge},
		{"POST /api/hubs/chat/:send?messageTtlSeconds=301", text, "hi", 400, codeBadRequest},
		{"POST /api/hubs/chat/:send?messageTtlSeconds=-1", text, "hi", 400, codeBadRequest},
		{"POST /api/hubs/chat/:send?filter=userId", text, "hi", 400, codeBadRequest},
		{"POST /api/hubs/chat/:send?conflationKey=" + strings.Repeat("k", 257), text, "hi", 400, codeBadRequest},
		{"POST /api/hubs/chat/:send?" + strings.Repeat("excluded=a&", 1001), text, "hi", 400, codeBadRequest},
		{"POST /api/hubs/chat/:send?api-version=2020-01-01", text, "hi", 400, codeBadRequest},
		{"POST /api/hubs/none/:send", text, "hi", 404, codeNotFound},
		{"POST /api/hubs/9/:send", text, "hi", 400, codeBadRequest},
		{"POST /api/hubs/chat/:shout", text, "hi", 404, codeNotFound},
		{"GET /api/nothing", "", "", 404, codeNotFound},

		{"POST /api/hubs/chat/:closeConnections?reason=bye&excluded=a", "", "", 204, `close all "bye" but [a]`},
		{"POST /api/hubs/chat/groups/g/:closeConnections", "", "", 204, `close group "g" ""`},
		{"POST /api/hubs/chat/users/u/:closeConnections?reason=x", "", "", 204, `close user "u" "x"`},
		{"DELETE /api/hubs/chat/connections/c1?reason=bye", "", "", 204, `close connection "c1" "bye"`},
		{"DELETE /api/hubs/chat/connections/c1?reason=" + strings.Repeat("x", 124), "", "", 400, codeBadRequest},

		{"HEAD /api/hubs/chat/connections/c1", "", "", 200, ""},
		{"HEAD /api/hubs/chat/connections/c9", "", "", 404, codeNoConnection},
		{"HEAD /api/hubs/chat/users/alice", "", "", 200, ""},
		{"HEAD /api/hubs/chat/users/bob", "", "", 404, codeNoUser},
		{"HEAD /api/hubs/chat/groups/vip", "", "", 200, ""},
		{"HEAD /api/hubs/chat/groups/none", "", "", 404, codeNoGroup},
		{"HEAD /api/health", "", "", 200, ""},

		{"PUT /api/hubs/chat/groups/g/connections/c1", "", "", 200, `add "c1" to "g"`},
		{"DELETE /api/hubs/chat/groups/g/connections/c1", "", "", 204, `remove "c1" from "g"`},
		{"DELETE /api/hubs/chat/connections/c1/groups", "", "", 204, `remove "c1" from all`},
		{"PUT /api/hubs/chat/users/u/groups/g", "", "", 200, `add user "u" to "g"`},
		{"DELETE /api/hubs/chat/users/u/groups/g", "", "", 204, `remove user "u" from "g"`},
		{"DELETE /api/hubs/chat/users/u/groups", "", "", 204, `remove user "u" from all`},
		{"POST /api/hubs/chat/:addToGroups", json, `{"groups":["a"]}`, 200, `add to ["a"]`},
		{"POST /api/hubs/chat/:removeFromGroups", json, `{"groups":["a","b"]}`, 200, `remove from ["a" "b"]`},
		{"POST /api/hubs/chat/:addToGroups", json, `{"groups":[]}`, 400, codeBadRequest},
		{"POST /api/hubs/chat/:addToGroups", json, `["a"]`, 400, codeBadRequest},

		{"PUT /api/hubs/chat/permissions/sendToGroup/connections/c1?targetName=g", "", "", 200, `grant "c1" 1 "g"`},
		{"DELETE /api/hubs/chat/permissions/joinLeaveGroup/connections/c1?targetName=g", "", "", 204, `revoke "c1" 0 "g"`},
		{"HEAD /api/hubs/chat/permissions/sendToGroup/connections/c1?targetName=vip", "", "", 200, `allowed "c1" 1 "vip"`},
		{"HEAD /api/hubs/chat/permissions/sendToGroup/connections/c1?targetName=g", "", "", 404, codeNoRule},
		{"PUT /api/hubs/chat/permissions/sendToGroup/connections/c1", "", "", 400, codeBadRequest},
		{"PUT /api/hubs/chat/permissions/fly/connections/c1?targetName=g", "", "", 400, codeBadRequest},
		{"POST /api/hubs/chat/:revoke", json, `{"tokenId":"t","reason":"lost"}`, 204, `revoke chat t for 24h0m0s; close revoked "lost": true`},
		{"POST /api/hubs/chat/:revoke", json, `{"userId":"u","keepSeconds":60}`, 204, `revoke chat u for 1m0s; close revoked "the token was revoked": true`},
		{"POST /api/hubs/chat/:revoke", json, `{"issuedBefore":1001}`, 204, `revoke chat  for 24h0m0s; close revoked "the token was revoked": true`},
		{"POST /api/hubs/chat/:revoke", json, `{"issuedBefore":1000}`, 204, `revoke chat  for 24h0m0s; close revoked "the token was revoked": false`},
		{"POST /api/hubs/chat/:revoke", json, `{"tokenId":"full"}`, 507, codeFull},
		{"POST /api/hubs/chat/:revoke", json, `{}`, 400, codeBadRequest},
		{"POST /api/hubs/chat/:revoke", json, `{"tokenId":"t","userId":"u"}`, 400, codeBadRequest},
		{"POST /api/hubs/chat/:revoke", json, `{"issuedBefore":-1}`, 400, codeBadRequest},
		{"POST /api/hubs/chat/:revoke", json, `{"userId":"u","keepSeconds":0}`, 400, codeBadRequest},
		{"POST /api/hubs/chat/:revoke", json, `[]`, 400, codeBadRequest},
		{"POST /api/hubs/chat/:generateToken?userId=nobody", "", "", 400, codeBadRequest},
		{"POST /api/hubs/chat/:generateToken?minutesToExpire=0", "", "", 400, codeBadRequest},
	} {
		t.Run(tt.request[:min(70, len(tt.request))], func(t *testing.T) {
			f := &fakeHub{}
			method, target, _ := strings.Cut(tt.request, " ")
			w := ask(plane(t, f), method, target, tt.contentType, tt.body)
			if w.Code != tt.status {
				t.Fatalf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			got := strings.Join(f.log, "; ")
			if tt.status >= 400 {
				got = w.Header().Get(codeHeader)
				checkProblem(t, w, tt.want)
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// checkProblem reads the body as a caller does.
func checkProblem(t *testing.T, w *httptest.ResponseRecorder, code string) {
	t.Helper()
	var p map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	if p["code"] != code || p["message"] == "" || strings.Contains(fmt.Sprint(p), "Bearer x") {
		t.Errorf("got %v", p)
	}
	for _, key := range []string{"details", "innererror"} {
		if v, ok := p[key]; !ok || v != nil {
			t.Errorf("%s: %v %v", key, v, ok)
		}
	}
}

func TestWithoutToken(t *testing.T) {
	for _, hub := range []string{"chat", "none"} { // it does not tell whether there is one
		r := httptest.NewRequest("POST", "/api/hubs/"+hub+"/:send", strings.NewReader("hi"))
		w := httptest.NewRecorder()
		f := &fakeHub{}
		plane(t, f).ServeHTTP(w, r)
		if w.Code != 401 || w.Header().Get("WWW-Authenticate") != "Bearer" || len(f.log) > 0 {
			t.Errorf("%s: status %d, %v, %v", hub, w.Code, w.Header(), f.log)
		}
	}
}

// TestRefusedByHub: each no of a hub has its own answer.
func TestRefusedByHub(t *testing.T) {
	for _, tt := range []struct {
		err          error
		send, change int // status of a send to a connection, of adding it to a group
	}{
		{hub.ErrNoConnection, 202, 404},
		{hub.ErrInvalidGroup, 400, 400},
		{hub.ErrTooManyGroups, 409, 409},
		{hub.ErrGroupsFull, 409, 409},
		{hub.ErrGroupFull, 409, 409},
		{hub.ErrTooManyRules, 409, 409},
		{hub.ErrRateLimited, 429, 429},
		{hub.ErrMessageTooLarge, 413, 413},
		{hub.ErrOverloaded, 503, 503},
		{context.DeadlineExceeded, 503, 503},
	} {
		f := &fakeHub{err: tt.err}
		send := ask(plane(t, f), "POST", "/api/hubs/chat/connections/c1/:send", "text/plain", "hi")
		change := ask(NewData(dataOf(f)), "PUT", "/api/hubs/chat/groups/g/connections/c1", "", "")
		if send.Code != tt.send || change.Code != tt.change {
			t.Errorf("%v: status %d and %d, want %d and %d", tt.err, send.Code, change.Code, tt.send, tt.change)
		}
		for _, w := range []*httptest.ResponseRecorder{send, change} {
			if retry := w.Header().Get("Retry-After"); (retry != "") != (w.Code == 429 || w.Code == 503) {
				t.Errorf("%v: status %d, Retry-After %q", tt.err, w.Code, retry)
			}
		}
	}
}

func TestAllowedMethods(t *testing.T) {
	w := ask(plane(t, &fakeHub{}), "GET", "/api/hubs/chat/:send", "", "")
	if w.Code != 404 || w.Header().Get(codeHeader) != codeNotFound {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
}

func TestLists(t *testing.T) {
	h := plane(t, &fakeHub{})
	read := func(target string) (ids []string, next string) {
		t.Helper()
		w := ask(h, "GET", target, "", "")
		var p page
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != 200 {
			t.Fatalf("status %d, %v: %s", w.Code, err, w.Body)
		}
		for _, m := range p.Value {
			ids = append(ids, m.ConnectionID)
		}
		return ids, p.NextLink
	}
	for _, tt := range []struct {
		query string
		pages [][]string
	}{
		{"", [][]string{{"c0", "c1", "c2", "c3", "c4"}}},
		{"?maxpagesize=2", [][]string{{"c0", "c1"}, {"c2", "c3"}, {"c4"}}},
		{"?maxpagesize=2&top=3", [][]string{{"c0", "c1"}, {"c2"}}},
		{"?top=2", [][]string{{"c0", "c1"}}},
	} {
		next := "/api/hubs/chat/groups/a%2Fb/connections" + tt.query
		for i, want := range tt.pages {
			var ids []string
			if ids, next = read(next); !slices.Equal(ids, want) || (next == "") != (i == len(tt.pages)-1) {
				t.Fatalf("%s, page %d: got %q, next %q", tt.query, i, ids, next)
			}
		}
	}
	if ids, _ := read("/api/hubs/chat/users/alice/connections"); !slices.Equal(ids, []string{"c1", "c2"}) {
		t.Errorf("got %q", ids)
	}
	w := ask(h, "GET", "/api/hubs/chat/users/bob/connections", "", "")
	if body := w.Body.String(); body != `{"value":[]}` {
		t.Errorf("got %s", body)
	}
	for _, query := range []string{"maxpagesize=0", "maxpagesize=201", "maxpagesize=x", "top=-1", "continuationToken=strange"} {
		if w := ask(h, "GET", "/api/hubs/chat/groups/g/connections?"+query, "", ""); w.Code != 400 {
			t.Errorf("%s: status %d", query, w.Code)
		}
	}
}

func TestGroupPresence(t *testing.T) {
	for group, want := range map[string]string{
		"vip":  `{"value":[{"connectionId":"c1","userId":"alice","state":{"mood":"good"},"updatedAt":1},{"connectionId":"c2","updatedAt":2}]}`,
		"none": `{"value":[]}`,
	} {
		w := ask(plane(t, &fakeHub{}), "GET", "/api/hubs/chat/groups/"+group+"/presence", "", "")
		if w.Code != 200 || w.Body.String() != want {
			t.Errorf("%s: status %d: %s", group, w.Code, w.Body)
		}
	}
}

func TestGroupHistory(t *testing.T) {
	f := &fakeHub{}
	const path = "/api/hubs/chat/groups/vip/history"
	w := ask(plane(t, f), "GET", path+"?since=6&epoch=e", "", "")
	want := `{"epoch":"e","offset":9,"complete":true,"value":[` +
		`{"offset":7,"time":1700000000000,"fromUserId":"alice","dataType":"json","data":{"a":1},"metadata":{"k":"v"}},` +
		`{"offset":8,"time":1700000000000,"dataType":"text","data":"hi"},` +
		`{"offset":9,"time":1700000000000,"dataType":"binary","data":"AP8="}]}`
	if w.Code != 200 || w.Body.String() != want {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
	for query, status := range map[string]int{
		"": 200, "?last=5": 200, "?epoch=e": 200,
		"?last=x": 400, "?last=-1": 400, "?since=1": 400, "?last=1&since=1&epoch=e": 400, "?since=99999999999999999999&epoch=e": 400,
	} {
		if w := ask(plane(t, f), "GET", path+query, "", ""); w.Code != status {
			t.Errorf("%s: status %d, want %d", query, w.Code, status)
		}
	}
	if w := ask(plane(t, f), "GET", "/api/hubs/chat/groups/none/history", "", ""); w.Code != 404 || w.Header().Get(codeHeader) != codeNoHistory {
		t.Errorf("a group without a history: status %d %s", w.Code, w.Body)
	}
}

func TestGenerateToken(t *testing.T) {
	w := ask(plane(t, &fakeHub{}), "POST", "/api/hubs/chat/:generateToken?userId=u&role=a&role=b&group=g&minutesToExpire=5", "", "")
	var answer struct{ Token string }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Token != "chat u [a b] [g] "+(5*time.Minute).String() {
		t.Errorf("%v: %s", err, w.Body)
	}
}

func TestCreateTicket(t *testing.T) {
	for _, tt := range []struct {
		query  string
		status int
		want   string // the ticket, or the code of the problem
	}{
		{"?userId=u&role=a&group=g&minutesToExpire=5&secondsToUse=10", 200, "chat u [a] [g] 5m0s within 10s"},
		{"", 200, "chat  [] [] 1h0m0s within 30s"},
		{"?secondsToUse=301", 400, codeBadRequest},
		{"?minutesToExpire=0", 400, codeBadRequest},
		{"?userId=nobody", 400, codeBadRequest},
		{"?userId=crowd", 429, codeTooMany},
	} {
		w := ask(plane(t, &fakeHub{}), "POST", "/api/hubs/chat/:createTicket"+tt.query, "", "")
		var answer struct{ Ticket, Code string }
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != tt.status || answer.Ticket+answer.Code != tt.want {
			t.Errorf("%s: status %d, %v: %s", tt.query, w.Code, err, w.Body)
		}
	}
}

// brokenBody fails while it is read, like that of a caller that hangs up.
type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestBrokenBody(t *testing.T) {
	f := &fakeHub{}
	r := httptest.NewRequest("POST", "/api/hubs/chat/:send", brokenBody{})
	r.Header.Set("Authorization", "Bearer x")
	w := httptest.NewRecorder()
	plane(t, f).ServeHTTP(w, r)
	if w.Code != 400 || len(f.log) > 0 {
		t.Errorf("status %d, %v", w.Code, f.log)
	}
}
