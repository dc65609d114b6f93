package e2e

import (
	"os"
	"strings"
	"testing"
)

// TestPublishedSDKs runs the published packages for back ends and for clients,
// unchanged, against a node: 25 operations of the one and a chat of the other, and
// then the client with its usual, reliable protocol, and the streams of its latest
// version, on a network that is cut.
func TestPublishedSDKs(t *testing.T) {
	needNode(t)
	if _, err := os.Stat("npm/node_modules/@azure/web-pubsub"); err != nil {
		t.Skip("SKIPPED: the packages in npm/package.json are not all installed (make test installs them), so the published SDKs were not tested")
	}
	clients, ops := freeAddr(t), freeAddr(t)
	p := start(t, sluice, "serve", "--dev", "--key", testKey, "--listen", clients, "--ops", ops, "--set", "api.public=true")
	p.waitFor("msg=serving")
	for _, script := range [][2]string{{"sdk.mjs", ops}, {"sdk.mjs", clients}, {"reliable.mjs", clients}, {"streams.mjs", clients}} {
		t.Run(script[0]+" "+script[1], func(t *testing.T) {
			out, errs, code := run(t, "node", "npm/"+script[0], clients, script[1], testKey)
			if code != 0 || strings.TrimSpace(out) != "ok" {
				t.Fatalf("exit %d\n%s%s", code, out, errs)
			}
		})
	}
	p.interrupt()
	p.waitFor("msg=stopped")
}
