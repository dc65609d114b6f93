package e2e

import (
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
			out, errs, code := run(t, "node", "npm/sockjs.mjs", n.addr, chatToken(t), transport)
			if code != 0 || strings.TrimSpace(out) != "ok" {
				t.Fatalf("exit %d\n%s%s", code, out, errs)
			}
		})
	}
}
