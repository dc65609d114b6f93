package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// sockjsNode starts a node that serves SockJS.
func sockjsNode(t *testing.T) *node {
	return serve(t, "--set", "sockjs.enable=true", "--set", "auth.origins=[\"*\"]")
}

// chatToken is a token for everything in the hub chat.
func chatToken(t *testing.T) string {
	return token(t, "--user", "u", "--role", "sluice.joinLeaveGroup", "--role", "sluice.sendToGroup")
}

// TestSockJSClient runs the published client over each of its transports that
// there is outside of a browser.
func TestSockJSClient(t *testing.T) {
	needNode(t)
	if _, err := os.Stat("npm/node_modules/sockjs-client"); err != nil {
		t.Skip("SKIPPED: npm/node_modules/sockjs-client is missing (make test installs it), so SockJS was not tested with the published client")
	}
	n := sockjsNode(t)
	for _, transport := range []string{"websocket", "xhr-streaming", "eventsource", "xhr-polling"} {
		t.Run(transport, func(t *testing.T) {
			out, errs, code := run(t, "node", "npm/sockjs.mjs", "http://"+n.addr, chatToken(t), transport)
			if code != 0 || strings.TrimSpace(out) != "ok" {
				t.Fatalf("exit %d\n%s%s", code, out, errs)
			}
		})
	}
}

// TestSockJSInBrowser: a page whose browser has no WebSocket falls back to what it
// has, with the client as published.
func TestSockJSInBrowser(t *testing.T) {
	needNode(t)
	script, err := os.ReadFile("npm/node_modules/sockjs-client/dist/sockjs.min.js")
	if err != nil {
		t.Skip("SKIPPED: npm/node_modules/sockjs-client is missing (make test installs it), so SockJS was not tested in a browser")
	}
	chromium := needChromium(t)
	cdn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = w.Write(script)
	}))
	t.Cleanup(cdn.Close)
	for _, tt := range []struct{ name, allowed, over string }{
		{"whatever works", "null", "xhr-streaming"},
		{"in an iframe", `["iframe-xhr-polling"]`, "iframe-xhr-polling"}, // whose policy must let it
		{"in an iframe, by events", `["iframe-eventsource"]`, "iframe-eventsource"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := serve(t, "--set", "sockjs.enable=true", "--set", "auth.origins=[\"*\"]", "--set", "sockjs.client_url="+cdn.URL+"/sockjs.js")
			address := "http://" + n.addr + "/sockjs/hubs/chat?access_token=" + chatToken(t) + "&subprotocol=json.sluice.v1"
			told := openPage(t, chromium, fmt.Sprintf(sockjsPage, address, tt.allowed), map[string][]byte{"/sockjs.js": script})
			expectTold(t, told, "over "+tt.over, "heard h\u00e9llo")
		})
	}
}

const sockjsPage = `<!doctype html>
<script>delete window.WebSocket</script>
<script src="/sockjs.js"></script>
<script>
const socket = new SockJS(%q, null, {transports: %s || undefined});
const send = (message) => socket.send(JSON.stringify(message));
let order = Promise.resolve();
const tell = (text) => order = order.then(() => fetch("/told", {method: "POST", body: text}));
socket.onmessage = (event) => {
  const message = JSON.parse(event.data);
  if (message.event === "connected") {
    tell("over " + socket.transport);
    send({type: "joinGroup", group: "g", ackId: 1});
  }
  if (message.type === "ack") send({type: "sendToGroup", group: "g", dataType: "text", data: "h\u00e9llo"});
  if (message.type === "message") tell("heard " + message.data);
};
socket.onclose = (event) => tell("closed " + event.code + " " + event.reason);
</script>
`
