package hub_test

import (
	"slices"
	"strings"
	"testing"

	"sluice/auth"
	"sluice/hub"
)

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  hub.Config
		want []string // key and a word of the problem
	}{
		{"zero", hub.Config{}, nil},
		{"declared", hub.Config{Hubs: map[string]hub.Tenant{"a": {MaxSessions: 5}, "b": {}}}, nil},
		{"negative", hub.Config{MaxHubs: -1, Defaults: hub.Tenant{MaxSessions: -1, MaxGroups: -1, MaxGroupsPerSession: -1, MaxGroupNameBytes: -1}},
			[]string{"max_hubs negative", "defaults.max_sessions negative", "defaults.max_groups negative",
				"defaults.max_groups_per_session negative", "defaults.max_group_name_bytes negative"}},
		{"negative state", hub.Config{MaxNodeStateBytes: -1, Defaults: hub.Tenant{MaxGroupStates: -1}},
			[]string{"max_node_state_bytes negative", "defaults.max_group_states negative"}},
		{"in a hub", hub.Config{Hubs: map[string]hub.Tenant{"chat": {MaxGroups: -1, MaxGroupNameBytes: 2000}}},
			[]string{"hubs.chat.max_groups negative", "hubs.chat.max_group_name_bytes 1024"}},
		{"names", hub.Config{Hubs: map[string]hub.Tenant{"Chat": {}, "chat": {}, "no name": {}}},
			[]string{"hubs.chat same", "hubs.no name letter"}},
		{"limits and rules", hub.Config{Defaults: hub.Tenant{
			MaxConnectionsPerUser: -1, MaxMessageSize: -1, MaxMessagesPerSecond: -1, MaxBytesPerSecond: -1,
			DuplicateLogin: "newest", Events: "mirror"}, TokenNotice: -1},
			[]string{"token_notice negative", "defaults.max_connections_per_user negative", "defaults.max_message_size negative",
				"defaults.max_messages_per_second negative", "defaults.max_bytes_per_second negative",
				"defaults.duplicate_login newest_wins", "defaults.events echo"}},
		{"its own", hub.Config{Hubs: map[string]hub.Tenant{"chat": {
			Keys: []auth.Key{{Secret: "short"}}, Origins: []string{"nowhere"}, Label: strings.Repeat("x", 65)}}},
			[]string{"hubs.chat.label 64", "hubs.chat.keys[0].secret 32", "hubs.chat.origins[0] scheme"}},
		{"slow consumers", hub.Config{Hubs: map[string]hub.Tenant{"chat": {SlowConsumer: "wait", Groups: []hub.GroupRule{
			{Match: "a.**", SlowConsumer: hub.SlowConflate}, {Match: `a\`}, {Match: "b", SlowConsumer: "wait"}}}}},
			[]string{"hubs.chat.slow_consumer drop_oldest", "hubs.chat.groups[1].match pattern", "hubs.chat.groups[2].slow_consumer conflate"}},
		{"too many rules", hub.Config{Defaults: hub.Tenant{Groups: slices.Repeat([]hub.GroupRule{{Match: "a"}}, 101)}},
			[]string{"defaults.groups 100"}},
		{"not for all", hub.Config{Defaults: hub.Tenant{
			Keys: []auth.Key{{Secret: auth.Secret(strings.Repeat("k", 32))}}, Origins: []string{"*"}, Label: "x"}},
			[]string{"defaults.keys auth.keys", "defaults.origins auth.origins", "defaults.label single"}},
		{"too many", hub.Config{MaxHubs: 1, Hubs: map[string]hub.Tenant{"a": {}, "b": {}}},
			[]string{"max_hubs 2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			c.cfg.Validate(func(key, problem string) { got = append(got, key+" "+problem) })
			if len(got) != len(c.want) {
				t.Fatalf("problems %q, want %q", got, c.want)
			}
			for i, want := range c.want {
				cut := strings.LastIndexByte(want, ' ')
				if !strings.HasPrefix(got[i], want[:cut+1]) || !strings.Contains(got[i], want[cut+1:]) {
					t.Errorf("problem %q, want %q", got[i], want)
				}
			}
		})
	}
}

func TestLabel(t *testing.T) {
	n := hub.New(hub.Config{Hubs: map[string]hub.Tenant{"a": {Label: "shared"}, "b": {}}}, 1)
	for name, want := range map[string]string{"a": "shared", "b": "b"} {
		if h, _ := n.Hub(name); h.Stats().Label != want {
			t.Errorf("hub %s has the label %q", name, h.Stats().Label)
		}
	}
}

func TestDeclaredLimits(t *testing.T) {
	n := hub.New(hub.Config{
		Hubs:     map[string]hub.Tenant{"Small": {MaxGroupsPerSession: 1}, "Plain": {}},
		Defaults: hub.Tenant{MaxGroupsPerSession: 2},
	}, 1)
	for name, limit := range map[string]int64{"small": 1, "plain": 2} {
		h, _ := n.Hub(name)
		w := &world{t: t, node: n, hub: h, loops: []*stepLoop{{}}}
		c := w.open(0)
		c.join("a")
		c.join("b")
		c.join("c")
		if got := h.Stats().Groups; got != limit {
			t.Errorf("hub %s: a session joined %d groups, want %d", name, got, limit)
		}
	}
}
