package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files and docs/configuration.md")

const testKey = "0123456789abcdef0123456789abcdef"

// withKey is the least that a configuration needs.
var withKey = Setting{Origin: Origin{Source: Flag, Name: "--key"}, Key: "auth.keys[0].secret", Text: testKey}

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it anew); got\n%s", file, got)
	}
}

// TestReadyFiles loads every file of configs/ as its users will.
func TestReadyFiles(t *testing.T) {
	files, err := filepath.Glob("../../configs/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			l, err := Load(file, data, withKey)
			if err != nil {
				t.Fatal(err)
			}
			if filepath.Base(file) != "dev.yaml" && len(l.Warnings.List) > 0 {
				t.Errorf("what there is to copy warns:\n%v", &l.Warnings)
			}
		})
	}
}

// TestPlaceholder: the file with the secret that everybody knows must not start
// a node.
func TestPlaceholder(t *testing.T) {
	data, err := os.ReadFile("../../configs/sluice.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Load("sluice.yaml", data)
	if err == nil || !strings.Contains(err.Error(), "auth.keys[0].secret: is still the text of the example") {
		t.Errorf("got %v", err)
	}
}

// TestOverride: what overrides the file is judged in its place.
func TestOverride(t *testing.T) {
	data := []byte("auth:\n  keys:\n    - secret: short\n")
	if _, err := Load("f", data); err == nil {
		t.Error("a short key was accepted")
	}
	l, err := Load("f", data, withKey)
	if err != nil {
		t.Fatalf("the file's key, not the one over it, was judged: %v", err)
	}
	if got := l.Origins["auth.keys[0].secret"]; got != withKey.Origin {
		t.Errorf("origin %v", got)
	}
	if _, err := Load("f", nil); err == nil {
		t.Error("no key at all was accepted")
	}
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct{ name, yaml, want string }{
		{"drain", "drain: {window: -1s}", "f:1: drain.window: -1s is negative (0 means the default)"},
		{"echo path of events", "echo_path: /sse/echo\nsse: {enable: true}", `f:1: echo_path: "/sse/echo" is where Server-Sent Events are served; choose another path`},
		{"address of the documentation", "landing: {docs_url: docs.example.com}", `f:1: landing.docs_url: "docs.example.com" is not an address that begins with https:// or http://`},
		{"echo path", "echo_path: echo", `f:1: echo_path: "echo" does not begin with a slash`},
		{"no port", `listen: ["8080"]`, `f:1: listen[0]: "8080" is not an address; write host:port, as ":8080", "127.0.0.1:8080" or "[::1]:8080"`},
		{"empty port", `listen: ["localhost:"]`, `f:1: listen[0]: "localhost:": the port is not between 0 and 65535`},
		{"port too large", `listen: [":65536"]`, `f:1: listen[0]: ":65536": the port is not between 0 and 65535`},
		{"url", `listen: ["https://example.com"]`, `f:1: listen[0]: "https://example.com" is a URL; write host:port, as ":8080"`},
		{"socket without a path", `listen: ["unix:"]`, `f:1: listen[0]: "unix:" needs the path of the socket, as unix:/run/sluice.sock`},
		{"socket path too long", `listen: ["unix:/` + strings.Repeat("x", 107) + `"]`,
			"f:1: listen[0]: the path of the socket has 108 bytes, more than the 107 the kernel takes"},
		{"same twice", `listen: [":80", ":80"]`, `f:1: listen[1]: ":80" cannot be opened beside listen[0]`},
		{"all addresses and one", `listen: ["127.0.0.1:80", "0.0.0.0:80"]`, `f:1: listen[1]: "0.0.0.0:80" cannot be opened beside listen[0]`},
		{"same socket", `listen: ["unix:/s", "unix:/s"]`, `f:1: listen[1]: "unix:/s" cannot be opened beside listen[0]`},
		{"operations on a client port", `listen: [":8081"]`, `f: ops: "127.0.0.1:8081" cannot be opened beside listen[0]`},
		{"operations on a socket", "ops: unix:/s", "f:1: ops: cannot be a unix socket; write host:port, as 127.0.0.1:8081"},
		{"tls on a plain port", "{listen: [\":80\"], tls: {listen: [\":80\"]}}", "f:1: tls.certificates: is empty, but there are addresses in listen; name the files of a certificate and its key, or acme.domains\n" +
			`f:1: tls.listen[0]: ":80" cannot be opened beside listen[0]`},
		{"acme without a cache", "tls: {listen: [\":443\"], acme: {domains: [chat.example.com, \"*.example.com\"]}}",
			`f:1: tls.acme.cache: is empty; name a directory, or each start would ask for new certificates` + "\n" +
				`f:1: tls.acme.domains[1]: "*.example.com" is not a domain name such as chat.example.com`},
		{"a proxy to nowhere", `proxy: {listen: [":81"], trusted: [10.0.0.0/8]}`,
			`f:1: proxy.listen[0]: ":81" is not one of the addresses in listen and tls.listen; write it as it stands there`},
		{"a proxy that is no range", `proxy: {trusted: [10.0.0.1]}`, `f:1: proxy.trusted[0]: "10.0.0.1" is an address and no range; write 10.0.0.1/32`},
		{"limits", "hub: {defaults: {max_messages_per_second_per_connection: -1}}\napi: {token_window: 1ms, max_used_tokens: -1}\noverload: {loop_lag: 1ms}",
			"f:1: hub.defaults.max_messages_per_second_per_connection: -1 is negative (0 means the default)\n" +
				"f:2: api.max_used_tokens: -1 is not between 1 and 100000000 (0 means the default)\n" +
				"f:2: api.token_window: 1ms is not between 1s and 24h0m0s (0 means the default)\n" +
				"f:3: overload.loop_lag: 1ms is not more than one turn of a busy loop may take; 100ms is the least"},
		{"apart", `{listen: ["127.0.0.1:80", "[::1]:80", ":0", ":0", "unix:/a", "unix:/b"], ops: ":81"}`, ""},
		{"socket path of full length", `listen: ["unix:/` + strings.Repeat("x", 106) + `"]`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load("f", []byte(tt.yaml), withKey)
			if got := message(err); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

const withLogin = "ops_login:\n  issuer: https://login.example.com\n  client_id: ops\n  url: https://ops.example.com\n  allow: {subjects: [\"*\"]}"

func TestWarnings(t *testing.T) {
	for _, tt := range []struct{ name, yaml, want string }{
		{"none", "hub: {hubs: {chat: {}}}", ""},
		{"operations for all", "hub: {hubs: {chat: {}}}\nops: \":8081\"",
			`f:2: ops: ":8081" is reachable from other machines and asks for no credentials; make sure that a firewall keeps it off the internet, or set ops_login`},
		{"operations on loopback", "hub: {hubs: {chat: {}}}\nops: \"[::1]:8081\"", ""},
		{"operations on localhost", "hub: {hubs: {chat: {}}}\nops: \"localhost:8081\"", ""},
		{"echo", "hub: {hubs: {chat: {}}}\necho_path: /echo", "f:2: echo_path: anybody can connect to /echo, without a token"},
		{"long drain", "hub: {hubs: {chat: {}}}\ndrain: {window: 5m}",
			"f:2: drain.window: to stop takes up to 5m15s with drain.grace and 10s for slow clients, longer than systemd (90s) and Kubernetes (30s) wait before they kill; raise TimeoutStopSec or terminationGracePeriodSeconds"},
		{"drain that just ends in time", "hub: {hubs: {chat: {}}}\ndrain: {grace: 20s, window: 1m}", ""},
		{"profiles for all", "hub: {hubs: {chat: {}}}\nops: \":8081\"\nops_pprof: true",
			`f:2: ops: ":8081" is reachable from other machines and asks for no credentials; make sure that a firewall keeps it off the internet, or set ops_login` + "\n" +
				"f:3: ops_pprof: shows what is in memory, secrets too, to everybody who reaches :8081"},
		{"operations with a login", "hub: {hubs: {chat: {}}}\nops: \":8081\"\nops_pprof: true\n" + withLogin + "\n  metrics_token: 0123456789abcdef", ""},
		{"metrics without one", "hub: {hubs: {chat: {}}}\nops: \":8081\"\n" + withLogin,
			"f:3: ops_login.metrics_token: without it, /metrics shows the names of hubs to everybody who reaches :8081"},
		{"profiles on loopback", "hub: {hubs: {chat: {}}}\nops_pprof: true", ""},
		{"any page with cookies", "hub: {hubs: {chat: {}}}\nauth: {origins: [\"*\"]}",
			`f:2: auth.origins: with "*" any web page can act as its visitor where the token is in a cookie; name the pages, or set auth.cookie to "-"`},
		{"any page without cookies", "hub: {hubs: {chat: {}}}\nauth: {origins: [\"*\"], cookie: \"-\"}", ""},
		{"no hub", "{}", "f: hub.hubs: no hub is declared and none is made on first use, so every client will get 404; declare one, or set hub.create_on_first_use"},
		{"engine", "hub: {create_on_first_use: true}\nengine:\n  heartbeat_interval: 90s\n  max_message_size: 2MiB\n  max_node_queue_bytes: 512KiB\n",
			"f:2: engine.max_queue_bytes: is above max_node_queue_bytes, so one connection could use up the budget of all\n" +
				"f:3: engine.heartbeat_interval: 1m30s is longer than the idle timeout of common load balancers (60s), which then cut quiet connections\n" +
				"f:4: engine.max_message_size: is above max_queue_bytes, so a message of that size ends every connection that has anything else to send"},
		{"streams for all connections", "hub: {create_on_first_use: true}\nengine: {max_http_connections: 100}\nsse: {enable: true, max_streams: 100}\n",
			"f:3: sse.max_streams: 100 leaves nothing of engine.max_http_connections, 100, to the HTTP API and SockJS"},
		{"streams for most", "hub: {create_on_first_use: true}\nengine: {max_http_connections: 100}\nsse: {enable: true, max_streams: 99}\n", ""},
		{"overload", "hub: {create_on_first_use: true}\nmemory: {limit: 64MiB}\noverload:\n  memory: 65MiB\n  queue: 1025MiB\n",
			"f:4: overload.memory: is above memory.limit, near which the node does little but collect garbage\n" +
				"f:5: overload.queue: is above engine.max_node_queue_bytes, at which the longest queues are closed at once, so it is hardly ever reached"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := Load("f", []byte(tt.yaml), withKey)
			if err != nil {
				t.Fatal(err)
			}
			if got := l.Warnings.Error(); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
