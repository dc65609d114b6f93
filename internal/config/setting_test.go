package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"sluice/auth"
	"sluice/hub"
)

// sets returns the settings of --set key=value arguments.
func sets(args ...string) (all []Setting) {
	for _, arg := range args {
		key, text, _ := strings.Cut(arg, "=")
		all = append(all, Setting{Origin: Origin{Source: Flag, Name: "--set"}, Key: key, Text: text})
	}
	return all
}

func TestSettings(t *testing.T) {
	const file = "listen: [\":80\"]\nauth: {keys: [{id: a, secret: " + testKey + "}]}\n" +
		"hub: {hubs: {Chat: {max_groups: 1}}}\nengine: {heartbeat_interval: 1s, max_queue_bytes: 1KiB}\n"
	for _, tt := range []struct {
		name     string
		settings []Setting
		change   func(*Config)
		key      string // whose origin is checked
		origin   string
	}{
		{"nothing", nil, func(*Config) {}, "listen", "f:1"},
		{"variable", Environ([]string{"SLUICE_ENGINE_HEARTBEAT_INTERVAL=7s"}),
			func(c *Config) { c.Engine.HeartbeatInterval = 7 * time.Second }, "engine.heartbeat_interval", "env SLUICE_ENGINE_HEARTBEAT_INTERVAL"},
		{"size", Environ([]string{"SLUICE_ENGINE_MAX_QUEUE_BYTES=2MiB"}),
			func(c *Config) { c.Engine.MaxQueueBytes = 2 << 20 }, "engine.max_queue_bytes", "env SLUICE_ENGINE_MAX_QUEUE_BYTES"},
		{"empty variable", Environ([]string{"SLUICE_ENGINE_LOOPS="}), func(*Config) {}, "engine.loops", "default"},
		{"other variables", Environ([]string{"HOME=/root", "SLUICEGATE=1", "sluice_ops=x"}), func(*Config) {}, "ops", "default"},
		{"list", Environ([]string{"SLUICE_LISTEN=[::]:81, unix:/s"}),
			func(c *Config) { c.Listen = []string{"[::]:81", "unix:/s"} }, "listen", "env SLUICE_LISTEN"},
		{"list as JSON", Environ([]string{`SLUICE_LISTEN=["unix:/a,b"]`}),
			func(c *Config) { c.Listen = []string{"unix:/a,b"} }, "listen[0]", "env SLUICE_LISTEN"},
		{"item", Environ([]string{"SLUICE_LISTEN_0=:81"}), func(c *Config) { c.Listen = []string{":81"} }, "listen[0]", "env SLUICE_LISTEN_0"},
		{"item after the last", sets("listen[1]=:81"), func(c *Config) { c.Listen = []string{":80", ":81"} }, "listen", "f:1"},
		{"secret of a key", Environ([]string{"SLUICE_AUTH_KEYS_0_SECRET=" + strings.Repeat("k", 32)}),
			func(c *Config) { c.Auth.Keys[0].Secret = auth.Secret(strings.Repeat("k", 32)) }, "auth.keys[0].id", "f:2"},
		{"another key", Environ([]string{"SLUICE_AUTH_KEYS_1_ID=b", "SLUICE_AUTH_KEYS_1_SECRET=" + testKey}),
			func(c *Config) { c.Auth.Keys = append(c.Auth.Keys, auth.Key{ID: "b", Secret: testKey}) }, "auth.keys[1].id", "env SLUICE_AUTH_KEYS_1_ID"},
		{"all keys", Environ([]string{`SLUICE_AUTH_KEYS=[{"secret":"` + testKey + `"}]`}),
			func(c *Config) { c.Auth.Keys = []auth.Key{{Secret: testKey}} }, "auth.keys[0].id", "default"},
		{"entry in another case", Environ([]string{"SLUICE_HUB_HUBS_CHAT_MAX_GROUPS=2"}),
			func(c *Config) { c.Hub.Hubs = map[string]hub.Tenant{"Chat": {MaxGroups: 2}} }, "hub.hubs.Chat.max_groups", "env SLUICE_HUB_HUBS_CHAT_MAX_GROUPS"},
		{"new entry", Environ([]string{"SLUICE_HUB_HUBS_MY_ROOM_MAX_GROUPS_PER_SESSION=2"}),
			func(c *Config) {
				c.Hub.Hubs = map[string]hub.Tenant{"Chat": {MaxGroups: 1}, "my_room": {MaxGroupsPerSession: 2}}
			}, "hub.hubs.my_room.max_groups_per_session", "env SLUICE_HUB_HUBS_MY_ROOM_MAX_GROUPS_PER_SESSION"},
		{"all entries", Environ([]string{"SLUICE_HUB_HUBS={a: {}, b: {}}"}),
			func(c *Config) { c.Hub.Hubs = map[string]hub.Tenant{"a": {}, "b": {}} }, "hub.hubs.Chat.max_groups", "default"},
		{"struct", sets("drain={window: 3s}"), func(c *Config) { c.Drain.Window = 3 * time.Second }, "drain.window", "flag --set"},
		{"last wins", append(Environ([]string{"SLUICE_OPS=:1"}), sets("ops=:2", "ops=:3")...), func(c *Config) { c.Ops = ":3" }, "ops", "flag --set"},
		{"services of Kubernetes", Environ([]string{"SLUICE_SERVICE_HOST=10.0.0.1", "SLUICE_SERVICE_PORT=80", "SLUICE_SERVICE_PORT_WS=80",
			"SLUICE_PORT=tcp://10.0.0.1:80", "SLUICE_PORT_80_TCP=tcp://10.0.0.1:80", "SLUICE_PORT_80_TCP_ADDR=10.0.0.1",
			"SLUICE_OPS_SERVICE_HOST=10.0.0.2", "SLUICE_OPS_PORT=tcp://10.0.0.2:81", "SLUICE_OPS_PORT_81_TCP_PORT=81"}), func(*Config) {}, "ops", "default"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var want Config
			if _, err := Decode("f", []byte(file), &want); err != nil {
				t.Fatal(err)
			}
			tt.change(&want)
			l, err := Load("f", []byte(file), tt.settings...)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(l.Config, want) {
				t.Errorf("got  %+v\nwant %+v", l.Config, want)
			}
			if got := l.Origins[tt.key].String(); got != tt.origin {
				t.Errorf("%s comes from %s, want %s", tt.key, got, tt.origin)
			}
		})
	}
}

func TestSettingProblems(t *testing.T) {
	for _, tt := range []struct {
		name     string
		settings []Setting
		want     string
	}{
		{"unknown variable, near", Environ([]string{"SLUICE_ENGINE_HEARTBEAT_INTERVALL=1s"}),
			"env SLUICE_ENGINE_HEARTBEAT_INTERVALL: unknown variable; did you mean SLUICE_ENGINE_HEARTBEAT_INTERVAL?"},
		{"unknown variable, in a list", Environ([]string{"SLUICE_AUTH_KEYS_0_SECRETS=x"}),
			"env SLUICE_AUTH_KEYS_0_SECRETS: unknown variable; did you mean SLUICE_AUTH_KEYS_0_SECRET?"},
		{"unknown variable, nothing near", Environ([]string{"SLUICE_X=1"}),
			"env SLUICE_X: unknown variable; `sluice config --all` prints every key"},
		{"line breaks in names", append(Environ([]string{"SLUICE_A\nB=1"}), sets("a\nb=1")...),
			"env SLUICE_A B: unknown variable; `sluice config --all` prints every key\n" +
				"flag --set: \"a\\nb\": unknown key; `sluice config --all` prints every key"},
		{"not text", sets("ops=\xff"), "flag --set: ops: the value is not UTF-8 text"},
		{"no name", Environ([]string{"SLUICE_=1"}), "env SLUICE_: unknown variable; `sluice config --all` prints every key"},
		{"a port, but no service", Environ([]string{"SLUICE_PORT=8080"}), "env SLUICE_PORT: unknown variable; `sluice config --all` prints every key"},
		{"underscore at the end", Environ([]string{"SLUICE_OPS_=:1"}), "env SLUICE_OPS_: unknown variable; did you mean SLUICE_OPS?"},
		{"unknown key", sets("engine.loop=1"), "flag --set: engine.loop: unknown key; did you mean engine.loops?"},
		{"unknown key in an entry", sets("hub.hubs.chat.max_group=1"),
			"flag --set: hub.hubs.chat.max_group: unknown key; did you mean hub.hubs.NAME.max_groups?"},
		{"value of the wrong kind", Environ([]string{"SLUICE_ENGINE_LOOPS=two"}),
			`env SLUICE_ENGINE_LOOPS: engine.loops: "two" is not a whole number, or too large`},
		{"value out of range", sets("engine.loops=1000"), "flag --set: engine.loops: 1000 is not between 1 and 256 (0 means one per core)"},
		{"structs in a list", Environ([]string{"SLUICE_AUTH_KEYS=secret"}), "env SLUICE_AUTH_KEYS: auth.keys: must be a list, as [{id: …}, …]"},
		{"value for a struct", sets("drain=1s"), "flag --set: drain: must hold further keys, each on a line of its own below it"},
		{"unknown key inside", sets("drain={windo: 1s}"), "flag --set: drain.windo: unknown key; did you mean window?"},
		{"no YAML", sets("drain={window"), "flag --set: drain: did not find expected ',' or '}'"},
		{"hole in a list", sets("listen[2]=:81"), "flag --set: listen[2]: the list has 0 items, so the next one is 0"},
		{"index that is none", sets("listen[-1]=:81", "listen[01]=:81", "listen[1000]=:81"),
			"flag --set: listen[-1]: unknown key; did you mean listen?\nflag --set: listen[01]: unknown key; did you mean listen?\n" +
				"flag --set: listen[1000]: unknown key; `sluice config --all` prints every key"},
		{"an unknown variable hides nothing", append(sets("engine.loops=-1"), Environ([]string{"SLUICE_X=1"})...),
			"env SLUICE_X: unknown variable; `sluice config --all` prints every key\n" +
				"flag --set: engine.loops: -1 is not between 1 and 256 (0 means one per core)"},
		{"everything at once, in the order of the sources", append(sets("ops=x"), Environ([]string{"SLUICE_DRAIN_WINDOW=5"})...),
			`env SLUICE_DRAIN_WINDOW: drain.window: "5" has no unit; write 5s for seconds, or ms, m, h` + "\n" +
				`flag --set: ops: "x" is not an address; write host:port, as ":8080", "127.0.0.1:8080" or "[::1]:8080"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load("f", nil, append([]Setting{withKey}, tt.settings...)...)
			if got := message(err); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestSecretFile(t *testing.T) {
	dir := t.TempDir()
	path := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	good := path("good", testKey+"\r\n")
	fromFile := "auth: {keys: [{secret_file: " + good + "}]}"
	fromEnv := Environ([]string{"SLUICE_AUTH_KEYS_0_SECRET_FILE=" + good})
	for _, tt := range []struct {
		name, yaml string
		settings   []Setting
		want       string
	}{
		{"in the file", fromFile, nil, ""},
		{"in a variable", "", fromEnv, ""},
		{"over a value", "auth: {keys: [{secret: x}]}", fromEnv, ""},
		{"under a value", fromFile, sets("auth.keys[0].secret=" + testKey), ""},
		{"beside a value", "auth:\n  keys:\n    - secret_file: " + good + "\n      secret: " + testKey, nil, "f:4: auth.keys[0].secret: f:3 has the same secret; remove one"},
		{"beside a value, variables", "", append(fromEnv, Environ([]string{"SLUICE_AUTH_KEYS_0_SECRET=" + testKey})...),
			"env SLUICE_AUTH_KEYS_0_SECRET: auth.keys[0].secret: env SLUICE_AUTH_KEYS_0_SECRET_FILE has the same secret; remove one"},
		{"missing", "auth: {keys: [{secret_file: /nowhere/key}]}", nil, "f:1: auth.keys[0].secret_file: open /nowhere/key: no such file or directory"},
		{"a folder", "auth: {keys: [{secret_file: /}]}", nil, "f:1: auth.keys[0].secret_file: read /: is a directory"},
		{"empty", "auth: {keys: [{secret_file: " + path("empty", "\n") + "}]}", nil, "f:1: auth.keys[0].secret_file: DIR/empty: the file is empty"},
		{"two lines", "auth: {keys: [{secret_file: " + path("two", "a\nb\n") + "}]}", nil,
			"f:1: auth.keys[0].secret_file: DIR/two: more than one line; the secret must be the only one"},
		{"too long", "auth: {keys: [{secret_file: " + path("long", strings.Repeat("x", 64<<10+1)) + "}]}", nil,
			"f:1: auth.keys[0].secret_file: DIR/long: longer than 65536 bytes, so it holds no secret"},
		{"short", "auth: {keys: [{secret_file: " + path("short", "x") + "}]}", nil,
			"f:1: auth.keys[0].secret: 1 bytes; a key needs at least 32: make one with: openssl rand -hex 32"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := Load("f", []byte(tt.yaml), tt.settings...)
			if got := strings.ReplaceAll(message(err), dir, "DIR"); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			if tt.want == "" && string(l.Config.Auth.Keys[0].Secret) != testKey {
				t.Errorf("secret %q", string(l.Config.Auth.Keys[0].Secret))
			}
		})
	}
}

// FuzzEnviron: whatever the environment holds, it is taken or refused with one
// line per problem, never panics, and what was taken can be printed and read.
func FuzzEnviron(f *testing.F) {
	for _, entry := range []string{
		"SLUICE_ENGINE_HEARTBEAT_INTERVAL=25s", "SLUICE_LISTEN=:80,[::1]:81", "SLUICE_AUTH_KEYS_1_SECRET=" + testKey,
		`SLUICE_AUTH_KEYS=[{"id":"a","secret":"x"}]`, "SLUICE_HUB_HUBS_A_MAX_GROUPS_PER_SESSION=3", "SLUICE_HUB={hubs: {a: {}}}",
		"SLUICE_LISTEN_0=x", "SLUICE_LISTEN_99=x", "SLUICE_PORT=tcp://x", "SLUICE_ENGINE=&a {loops: *a}", "SLUICE_AUTH_KEYS_0=~", "SLUICE_=x", "SLUICE",
		"SLUICE_AUTH_ORIGINS=[\"a\tb\", 'c']", "SLUICE_HUB_HUBS={\"a b\": {max_groups: 7}}",
	} {
		f.Add(entry, entry)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if strings.Contains(strings.ToUpper(a+b), "SECRET_FILE") {
			return // reads files
		}
		l, err := Load("fuzz", nil, append([]Setting{withKey}, Environ([]string{a, b})...)...)
		if err != nil {
			problems, ok := errors.AsType[*Problems](err)
			if !ok || len(problems.List) == 0 || strings.Count(err.Error(), "\n")+1 != len(problems.List) {
				t.Fatalf("got %#v, want *Problems with one line each", err)
			}
			return
		}
		checkReload(t, l)
	})
}
