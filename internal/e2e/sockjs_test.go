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
func sockjsNode(t *testing.T, flags ...string) *node {
	return serve(t, append(flags, "--set", "sockjs.enable=true", "--set", "auth.origins=[\"*\"]")...)
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
		w.Write(script)
	}))
	t.Cleanup(cdn.Close)
	n := sockjsNode(t, "--set", "sockjs.client_url="+cdn.URL+"/sockjs.js", "--set", "sockjs.legacy=true")
	address := "http://" + n.addr + "/sockjs/hubs/chat?access_token=" + chatToken(t) + "&subprotocol=json.sluice.v1"
	for _, tt := range []struct{ transports, over string }{
		{`undefined`, "xhr-streaming"}, // what the client falls back to by itself
		{`["eventsource"]`, "eventsource"},
		{`["xhr-polling"]`, "xhr-polling"},
		{`["iframe-eventsource"]`, "iframe-eventsource"},
		{`["iframe-htmlfile"]`, "iframe-htmlfile"},
		{`["iframe-xhr-polling"]`, "iframe-xhr-polling"},
		{`["jsonp-polling"]`, "jsonp-polling"},
	} {
		t.Run(tt.over, func(t *testing.T) {
			told := openPage(t, chromium, fmt.Sprintf(sockjsPage, address, tt.transports), map[string][]byte{"/sockjs.js": script})
			expectTold(t, told, "over "+tt.over, "heard h\u00e9llo")
		})
	}
}

const sockjsPage = `<!doctype html>
<script>delete window.WebSocket</script>
<script src="/sockjs.js"></script>
<script>
const socket = new SockJS(%q, null, {transports: %s});
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
