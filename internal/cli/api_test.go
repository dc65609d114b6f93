package cli

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sluice/auth"
	"sluice/hub"
	"sluice/internal/config"
	"sluice/internal/logs"
	"sluice/internal/node"
	"sluice/internal/testkit"
)

// apiNode is a running node and the command line that talks to it.
type apiNode struct {
	node *node.Node
	base []string // flags
}

func startAPINode(t *testing.T) *apiNode {
	t.Helper()
	cfg := config.Config{
		Listen: []string{"127.0.0.1:0"},
		Ops:    "127.0.0.1:0",
		Drain:  config.Drain{Grace: time.Millisecond, Window: 10 * time.Millisecond},
		Auth:   auth.Config{Keys: []auth.Key{{Secret: testKey}}, Endpoints: []string{"https://chat.example.com"}},
		Hub:    hub.Config{CreateOnFirstUse: true, Defaults: hub.Tenant{Presence: true, SingleUseAPITokens: true}},
	}
	if err := config.Check(&cfg); err != nil {
		t.Fatal(err)
	}
	log := logs.Open(cfg.Log, t.Output())
	t.Cleanup(log.Close)
	n, err := node.Start(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := n.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return &apiNode{n, []string{"--endpoint", "http://" + n.OpsAddr().String(), "--audience", "https://chat.example.com/", "--hub", "chat"}}
}

// run runs a command line with the flags of every call.
func (n *apiNode) run(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return world{environ: []string{keyVariable + "=" + testKey}}.run(t, append(args, n.base...)...)
}

// want runs a command line that must succeed, and compares what it prints.
func (n *apiNode) want(t *testing.T, want string, args ...string) {
	t.Helper()
	stdout, stderr, code := n.run(t, args...)
	if code != exitOK || stdout != want || stderr != "" {
		t.Errorf("%q: exit %d\ngot  %s%s\nwant %s", args, code, stdout, stderr, want)
	}
}

// dial connects a user and returns the id of the connection.
func (n *apiNode) dial(t *testing.T, user string) (*testkit.Conn, string) {
	t.Helper()
	token, err := auth.Mint([]byte(testKey), auth.Claims{Hub: "chat", User: user, Groups: []string{"a/b"}, TTL: time.Hour, Endpoint: "https://chat.example.com"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c := testkit.DialWebSocket(t, n.node.Addrs()[0].String(), "/client/hubs/chat", "Authorization: Bearer "+token, "Sec-WebSocket-Protocol: json.sluice.v1")
	var first struct{ ConnectionID string }
	if err := json.Unmarshal([]byte(c.ReadText()), &first); err != nil || first.ConnectionID == "" {
		t.Fatalf("no id: %v", err)
	}
	return c, first.ConnectionID
}

// TestAPICommands: what an operator does to two clients of a running node.
func TestAPICommands(t *testing.T) {
	n := startAPINode(t)
	alice, a := n.dial(t, "alice")
	bob, b := n.dial(t, "bob")
	read := func(c *testkit.Conn, want string) {
		t.Helper()
		if got := c.ReadText(); !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}

	n.want(t, "sent\n", "send", "--all", "--data", "hi", "--exclude", b)
	n.want(t, "sent\n", "send", "--group", "a/b", "--type", "json", "--data", `{"n":1}`, "--filter", "userId eq 'alice'", "--ttl", "1m", "--conflation-key", "k")
	n.want(t, "sent\n", "send", "--user", "bob", "--type", "binary", "--file", file(t, "message", "\x00\xff"))
	n.want(t, "{\n  \"result\": \"sent\"\n}\n", "send", "--connection", b, "--data", "last", "--json")
	read(alice, `"data":"hi"`)
	read(alice, `"data":{"n":1}`)
	read(bob, `"dataType":"binary","data":"AP8="`)
	read(bob, `"data":"last"`)

	n.want(t, "added\n", "groups", "add", "--group", "team", "--connection", a)
	n.want(t, "added\n", "groups", "add", "--group", "team", "--user", "bob")
	n.want(t, "removed\n", "groups", "remove", "--group", "team", "--user", "bob")
	n.want(t, a+"\talice\n", "groups", "members", "--group", "team")
	n.want(t, a+"\talice\n", "groups", "presence", "--group", "team")
	n.want(t, a+"\talice\n", "users", "connections", "--user", "alice")
	n.want(t, "[]\n", "users", "connections", "--user", "carol", "--json")
	n.want(t, "open\n", "connections", "exists", "--connection", a)

	n.want(t, "granted\n", "connections", "grant", "--connection", a, "--permission", "sendToGroup", "--group", "team")
	n.want(t, "allowed\n", "connections", "allowed", "--connection", a, "--permission", "sendToGroup", "--group", "team")
	n.want(t, "denied\n", "connections", "deny", "--connection", a, "--permission", "sendToGroup", "--group", "team")
	if _, stderr, code := n.run(t, "connections", "allowed", "--connection", a, "--permission", "sendToGroup", "--group", "team"); code != exitError ||
		stderr != "sluice connections: the connection may not do this, or does not exist\n" {
		t.Errorf("denied: exit %d: %s", code, stderr)
	}
	n.want(t, "removed\n", "connections", "leave", "--connection", a)
	n.want(t, "removed\n", "users", "leave", "--user", "bob")
	n.want(t, "", "groups", "members", "--group", "a/b")
	n.want(t, "added\n", "addresses", "add", "--list", "deny", "--range", "192.0.2.0/24")
	n.want(t, "deny\t192.0.2.0/24\n", "addresses", "rules")
	n.want(t, "removed\n", "addresses", "remove", "--list", "deny", "--range", "192.0.2.0/24")
	n.want(t, "", "addresses", "rules")

	n.want(t, "closed\n", "close", "--connection", a, "--reason", "enough")
	read(alice, `"message":"enough"`)
	n.want(t, "revoked\n", "users", "revoke", "--user", "bob", "--reason", "left")
	read(bob, `"message":"left"`)
	if reason := bob.ExpectClose(1008); reason != "left" {
		t.Errorf("reason %q", reason)
	}
	n.want(t, "closed\n", "close", "--all")
	if _, stderr, code := n.run(t, "connections", "exists", "--connection", "nobody"); code != exitError ||
		stderr != "sluice connections: there is no such connection\n" {
		t.Errorf("exists: exit %d: %s", code, stderr)
	}
}

// TestAPIListPages: a list of more than a page is printed whole.
func TestAPIListPages(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("continuationToken") {
		case "":
			_, _ = w.Write([]byte(`{"value":[{"connectionId":"1","userId":"u"}],"nextLink":"http://elsewhere/x?continuationToken=1"}`))
		case "1":
			_, _ = w.Write([]byte(`{"value":[{"connectionId":"2"}]}`))
		}
	}))
	defer s.Close()
	flags := []string{"groups", "members", "--group", "g", "--endpoint", s.URL, "--hub", "chat", "--key-file", file(t, "key", testKey+"\n")}
	if stdout, stderr, code := (world{}).run(t, flags...); code != exitOK || stdout != "1\tu\n2\t-\n" {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	if stdout, _, _ := (world{}).run(t, append(flags, "--json")...); !strings.Contains(stdout, `"connectionId": "2"`) {
		t.Errorf("got %s", stdout)
	}
}

// TestAPICommandErrors: what is wrong is said in words.
func TestAPICommandErrors(t *testing.T) {
	n := startAPINode(t)
	for _, tt := range []struct {
		args   string
		stderr string // part of it
		code   int
	}{
		{"send --data x", "sluice send: give one of --all, --group, --user and --connection", exitUsage},
		{"send --all --group g --data x", "give one of --all", exitUsage},
		{"send --all", "--data or --file is missing", exitUsage},
		{"send --all --data x --file y", "exclude each other", exitUsage},
		{"send --all --file /nowhere", "--file: open /nowhere", exitError},
		{"send --all --data x --type xml", `--type "xml" is not text, json or binary`, exitUsage},
		{"send --all --data {] --type json", "the message is not one JSON value", exitUsage},
		{"send --all --data x --ttl 1500ms", "--ttl 1.5s is not in whole seconds", exitUsage},
		{"send --all --data x --ttl 10m", "the node answered 400: messageTtlSeconds: must be 0 to 300 (Error.BadRequest)", exitError},
		{"send --connection c --data x --filter y", "--filter and --exclude are not for one connection", exitUsage},
		{"send --all --data x --endpoint ftp://x", "is not an address such as http://127.0.0.1:8081", exitUsage},
		{"send --all --data x --hub 9", `--hub "9" is not the name of a hub`, exitUsage},
		{"send --all --data x --timeout 0s", "--timeout 0s is not positive", exitUsage},
		{"send --all --data x --key a --key-file b", "--key and --key-file exclude each other", exitUsage},
		{"send --all --data x --key-file /nowhere", "--key-file: open /nowhere", exitUsage},
		{"send --all --data x --key another-key-that-is-long-enough-to-be-one", "the node answered 401: the token is signed with none of the keys (Error.Unauthorized)", exitError},
		{"send --all --data x --key short", "sluice send: ", exitUsage},
		{"send --all --data x --audience http://elsewhere", "the node answered 401", exitError},
		{"send --all --data x --endpoint http://127.0.0.1:1", "cannot reach the node at http://127.0.0.1:1", exitError},
		{"close --reason x", "sluice close: give one of --all", exitUsage},
		{"close --all --reason " + strings.Repeat("x", 124), "reason: longer than 123 bytes", exitError},
		{"groups", "what is to be done?", exitUsage},
		{"groups join --group g", "there is no \"join\"; `sluice groups help` lists what there is", exitUsage},
		{"groups add --group g", "--connection or --user is missing", exitUsage},
		{"groups add --group g --user u --connection c", "give one of --connection or --user", exitUsage},
		{"groups add --group g --connection nobody", "there is no such connection", exitError},
		{"groups members", "--group is missing", exitUsage},
		{"users revoke --reason x", "--user is missing", exitUsage},
		{"connections grant --connection c --permission fly --group g", "the node answered 400: permission: must be joinLeaveGroup or sendToGroup", exitError},
	} {
		args := strings.Fields(tt.args)
		if args[0] != "groups" || len(args) > 1 {
			// What the case gives itself comes last and wins.
			verbs := 1
			if len(args) > 1 && !strings.HasPrefix(args[1], "-") {
				verbs = 2
			}
			args = append(append(append([]string{}, args[:verbs]...), n.base...), args[verbs:]...)
		}
		stdout, stderr, code := world{environ: []string{keyVariable + "=" + testKey}}.run(t, args...)
		if code != tt.code || !strings.Contains(stderr, tt.stderr) || stdout != "" {
			t.Errorf("%s: exit %d, want %d: %s%s\nwant %s", tt.args, code, tt.code, stdout, stderr, tt.stderr)
		}
	}
	if _, stderr, code := (world{}).run(t, "send", "--all", "--data", "x", "--hub", "chat"); code != exitUsage || !strings.Contains(stderr, "no key: give --key-file") {
		t.Errorf("without a key: exit %d: %s", code, stderr)
	}
	if stdout, _, code := (world{}).run(t, "groups", "help"); code != exitOK || !strings.Contains(stdout, "presence    list who is in a group") {
		t.Errorf("help: exit %d: %s", code, stdout)
	}
	if stdout, _, code := (world{}).run(t, "users", "revoke", "--help"); code != exitOK || !strings.Contains(stdout, "-reason") || strings.Contains(stdout, "-group") {
		t.Errorf("help of a verb: exit %d: %s", code, stdout)
	}
}
