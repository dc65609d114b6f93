package hub

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"sluice/access"
	"sluice/auth"
	"sluice/hub/wire"
)

// Config says which hubs there are and what bounds them. The zero value has no
// hub at all and safe limits.
type Config struct {
	// Hubs declares hubs by name and gives them their own settings; what is not
	// set there is taken from Defaults. The case of the letters of a name does
	// not matter. Default: none.
	Hubs map[string]Tenant `yaml:"hubs"`

	// CreateOnFirstUse makes a hub for every valid name a client comes with,
	// bounded by Defaults. Default false. Where any token holder can choose a
	// hub, so can any token holder fill MaxHubs; hubs are never removed.
	CreateOnFirstUse bool `yaml:"create_on_first_use"`

	// MaxHubs bounds the hubs of the node, declared ones included. Default
	// 1000. An empty one costs about 18 KiB and a set of metrics.
	MaxHubs int `yaml:"max_hubs"`

	// TokenNotice is how long before its token expires a client hears of it,
	// where it has asked for that. Default 30s.
	TokenNotice time.Duration `yaml:"token_notice"`

	// MaxNodeUnackedBytes bounds what all reliable sessions together hold for
	// their clients; a session that needs more is ended with 1008. A message
	// counts once for each session that holds it, though it is in memory once.
	// Default 256MiB.
	MaxNodeUnackedBytes int `yaml:"max_node_unacked_bytes" unit:"bytes"`

	// MaxNodeStateBytes bounds the states that clients have set in groups, in
	// all hubs; one more is refused. Default 64MiB.
	MaxNodeStateBytes int `yaml:"max_node_state_bytes" unit:"bytes"`

	// MaxNodeHistoryBytes bounds the histories of all groups in all hubs; above it
	// those go first that nothing was added to for longest. Default 256MiB.
	MaxNodeHistoryBytes int `yaml:"max_node_history_bytes" unit:"bytes"`

	// Defaults holds for every hub that does not set its own. The keys keys, issuers,
	// origins, client_cert, addresses and label are for single hubs only: auth.keys,
	// auth.issuers, auth.origins and access.rules are those of all.
	Defaults Tenant `yaml:"defaults"`
}

// Tenant is what can be set for one hub.
type Tenant struct {
	// Keys verify the tokens of this hub, instead of auth.keys, by the same
	// rules: several at once are for rotation. Default: those of auth.keys.
	Keys []auth.Key `yaml:"keys"`

	// Issuers are the identity providers whose tokens let clients into this hub, and
	// no others. Default: those of auth.issuers, unless the hub has keys of its own.
	Issuers []auth.Issuer `yaml:"issuers"`

	// Origins are the web pages that may connect to this hub, instead of
	// auth.origins and written like them. Default: those of auth.origins.
	Origins []string `yaml:"origins"`

	// ClientCert says who clients are by their certificates. Default: nobody.
	ClientCert auth.ClientCert `yaml:"client_cert"`

	// Addresses says which client addresses may connect to this hub, besides what
	// access.rules says for all. Default: all may.
	Addresses access.Rules `yaml:"addresses"`

	// Label is what metrics call the hub, at most 64 characters; several hubs
	// may share one. Default: its name.
	Label string `yaml:"label"`

	// MaxSessions bounds the connections of the hub; one more is closed with
	// 1013. Default 1000000: the node's own limit on connections is then the
	// one that counts.
	MaxSessions int `yaml:"max_sessions"`

	// MaxConnectionsPerUser bounds the connections of one user; one more is
	// closed with 1013. Clients without a user id are not bounded. Default
	// 1000000.
	MaxConnectionsPerUser int `yaml:"max_connections_per_user"`

	// DuplicateLogin says what happens when a user that is connected connects
	// again: "allow" lets it, up to max_connections_per_user; "newest_wins"
	// closes the older connections with 4500; "oldest_wins" closes the new one
	// with 1013. Default allow.
	DuplicateLogin string `yaml:"duplicate_login"`

	// MaxGroups bounds the groups of the hub that have members. Default
	// 100000. A group with one member costs about 270 bytes on a node of two
	// loops, and 32 more for each further loop.
	MaxGroups int `yaml:"max_groups"`

	// MaxGroupsPerSession bounds the groups that one connection is in. Default
	// 1000. Leaving a group takes time in proportion to it.
	MaxGroupsPerSession int `yaml:"max_groups_per_session"`

	// MaxGroupNameBytes bounds the length of a group name. Default and maximum
	// 1KiB.
	MaxGroupNameBytes int `yaml:"max_group_name_bytes" unit:"bytes"`

	// MaxMessageSize bounds a message from a client, as it comes, and the data
	// of one from a back end. A client that sends a larger one is closed with
	// 1009. Default none: engine.max_message_size is the bound.
	MaxMessageSize int `yaml:"max_message_size" unit:"bytes"`

	// MaxMessagesPerSecond bounds what is published in the hub and the events
	// for services, from clients and back ends together; a second's worth may
	// come at once. Clients get TooManyRequests for what is above, back ends an
	// error. Default none.
	MaxMessagesPerSecond int `yaml:"max_messages_per_second"`

	// MaxBytesPerSecond bounds the data of the same messages. Default none.
	MaxBytesPerSecond int `yaml:"max_bytes_per_second" unit:"bytes"`

	// MaxMessagesPerSecondPerConnection bounds what a client sends, messages of every
	// kind with its pings and acknowledgements; a second's worth may come at once. It
	// gets TooManyRequests for what is above. One that goes on until ten seconds' worth
	// was refused is closed with 1008, and so is a client without a subprotocol at
	// once, because it cannot be told. Default none. With it, or the next one, a
	// connection costs 24 bytes more.
	MaxMessagesPerSecondPerConnection int `yaml:"max_messages_per_second_per_connection"`

	// MaxBytesPerSecondPerConnection bounds the bytes of the same messages, as they
	// come. Default none.
	MaxBytesPerSecondPerConnection int `yaml:"max_bytes_per_second_per_connection" unit:"bytes"`

	// SingleUseAPITokens asks of back ends that each call of the HTTP API about the hub
	// has a token of its own, made for its method, URL and body, and takes each once:
	// docs/api.md tells how. See also api.token_window. Default false: one token may
	// be used for many calls.
	SingleUseAPITokens bool `yaml:"single_use_api_tokens"`

	// MaxQueueBytes bounds what all clients of the hub together have not read yet;
	// above it the longest queues are closed with 1008, and other hubs notice
	// nothing. Default none: engine.max_node_queue_bytes is the bound, for all
	// hubs together.
	MaxQueueBytes int `yaml:"max_queue_bytes" unit:"bytes"`

	// ReconnectWindow is how long a reliable session waits for its client after
	// the connection broke. It counts as a connection meanwhile. Default 1m.
	ReconnectWindow time.Duration `yaml:"reconnect_window"`

	// MaxUnackedMessages bounds the messages that a reliable session holds for
	// its client; one more ends it with 1008, and the client starts afresh.
	// Published clients acknowledge once a second. Default 1000.
	MaxUnackedMessages int `yaml:"max_unacked_messages"`

	// MaxUnackedBytes bounds the bytes of the same messages. Default 16MiB.
	MaxUnackedBytes int `yaml:"max_unacked_bytes" unit:"bytes"`

	// SlowConsumer says what happens to a client that does not read, when its
	// queue (engine.max_queue_bytes) is full: "close" ends its connection with
	// 1008, "drop_newest" drops the new message, "drop_oldest" those that wait
	// for longest, "conflate" lets a message take the place of one of the same
	// group, and with the same conflation key if it has one, as soon as it has
	// to wait; with neither group nor key it is drop_oldest.
	// Reliable sessions are always closed. Default close.
	SlowConsumer string `yaml:"slow_consumer"`

	// Presence keeps a list of who is in each group, for members who ask for it
	// and for back ends, and tells those who have asked when somebody joins or
	// leaves. Default false: each join and leave then costs a message to all of
	// them.
	Presence bool `yaml:"presence"`

	// MaxGroupStates bounds the members of a group that have a state; where
	// presence is kept, the members of a group at all: one more cannot join.
	// Default 1000. Whoever asks gets all of them at once.
	MaxGroupStates int `yaml:"max_group_states"`

	// HistoryMessages is how many of the newest messages of each group are kept
	// for clients that join later and ask for them, and for back ends. Default 0:
	// no history. Messages to a group with one go through the inbox of every
	// loop, that of the sender as well.
	HistoryMessages int `yaml:"history_messages"`

	// HistoryBytes bounds the bytes of the messages kept for one group, with some
	// 200 for each. Default 256KiB. A client may get all of it at once, so
	// engine.max_queue_bytes should be more than twice as much.
	HistoryBytes int `yaml:"history_bytes" unit:"bytes"`

	// HistoryAge is how long a message is kept, also when nobody is in its group.
	// Default 5m.
	HistoryAge time.Duration `yaml:"history_age"`

	// Groups are rules for groups by name; the first that matches counts. At
	// most 100. Default: none.
	Groups []GroupRule `yaml:"groups"`

	// Events says who answers the events and invocations of clients: "none", so
	// that they are refused, or "echo", so that each gets back what it said, for
	// development. Default none.
	Events string `yaml:"events"`
}

// The values of Tenant.DuplicateLogin, SlowConsumer and Events.
const (
	AllowDuplicates = "allow"
	NewestWins      = "newest_wins"
	OldestWins      = "oldest_wins"

	SlowClose      = "close"
	SlowDropNewest = "drop_newest"
	SlowDropOldest = "drop_oldest"
	SlowConflate   = "conflate"

	EventsNone = "none"
	EventsEcho = "echo"
)

// maxWindow is the longest time for which a session waits for its client: what it
// holds is memory.
const maxWindow = 24 * time.Hour

// maxLabel is the longest label of a hub, in bytes.
const maxLabel = 64

// WithDefaults returns the configuration with every zero replaced.
func (c Config) WithDefaults() Config {
	c.MaxHubs = cmp.Or(c.MaxHubs, 1000)
	c.TokenNotice = cmp.Or(c.TokenNotice, 30*time.Second)
	c.MaxNodeUnackedBytes = cmp.Or(c.MaxNodeUnackedBytes, 256<<20)
	c.MaxNodeStateBytes = cmp.Or(c.MaxNodeStateBytes, 64<<20)
	c.MaxNodeHistoryBytes = cmp.Or(c.MaxNodeHistoryBytes, 256<<20)
	c.Defaults = c.Defaults.or(Tenant{
		MaxSessions:           1_000_000,
		MaxConnectionsPerUser: 1_000_000,
		DuplicateLogin:        AllowDuplicates,
		MaxGroups:             100_000,
		MaxGroupsPerSession:   1000,
		MaxGroupNameBytes:     wire.MaxGroup,
		ReconnectWindow:       time.Minute,
		MaxUnackedMessages:    1000,
		MaxUnackedBytes:       16 << 20,
		SlowConsumer:          SlowClose,
		MaxGroupStates:        1000,
		HistoryBytes:          256 << 10,
		HistoryAge:            5 * time.Minute,
		Events:                EventsNone,
	})
	hubs := make(map[string]Tenant, len(c.Hubs))
	for name, t := range c.Hubs {
		hubs[name] = t.or(c.Defaults)
	}
	c.Hubs = hubs
	return c
}

// Tenants returns what the declared hubs have of their own for those who come in.
func (c Config) Tenants() map[string]auth.Tenant {
	own := make(map[string]auth.Tenant, len(c.Hubs))
	for name, t := range c.Hubs {
		own[name] = auth.Tenant{Keys: t.Keys, Issuers: t.Issuers, Origins: t.Origins, ClientCert: t.ClientCert}
	}
	return own
}

// AddressRules returns the rules for addresses that the declared hubs have of their
// own.
func (c Config) AddressRules() map[string]access.Rules {
	own := make(map[string]access.Rules, len(c.Hubs))
	for name, t := range c.Hubs {
		own[name] = t.Addresses
	}
	return own
}

// or returns the settings with every one that is not set taken from d.
func (t Tenant) or(d Tenant) Tenant {
	if len(t.Groups) == 0 {
		t.Groups = d.Groups
	}
	return Tenant{
		Keys:                  t.Keys,
		Issuers:               t.Issuers,
		Origins:               t.Origins,
		ClientCert:            t.ClientCert,
		Addresses:             t.Addresses,
		Label:                 t.Label,
		MaxSessions:           cmp.Or(t.MaxSessions, d.MaxSessions),
		MaxConnectionsPerUser: cmp.Or(t.MaxConnectionsPerUser, d.MaxConnectionsPerUser),
		DuplicateLogin:        cmp.Or(t.DuplicateLogin, d.DuplicateLogin),
		MaxGroups:             cmp.Or(t.MaxGroups, d.MaxGroups),
		MaxGroupsPerSession:   cmp.Or(t.MaxGroupsPerSession, d.MaxGroupsPerSession),
		MaxGroupNameBytes:     cmp.Or(t.MaxGroupNameBytes, d.MaxGroupNameBytes),
		MaxMessageSize:        cmp.Or(t.MaxMessageSize, d.MaxMessageSize),
		MaxMessagesPerSecond:  cmp.Or(t.MaxMessagesPerSecond, d.MaxMessagesPerSecond),
		MaxBytesPerSecond:     cmp.Or(t.MaxBytesPerSecond, d.MaxBytesPerSecond),

		MaxMessagesPerSecondPerConnection: cmp.Or(t.MaxMessagesPerSecondPerConnection, d.MaxMessagesPerSecondPerConnection),
		MaxBytesPerSecondPerConnection:    cmp.Or(t.MaxBytesPerSecondPerConnection, d.MaxBytesPerSecondPerConnection),

		SingleUseAPITokens: t.SingleUseAPITokens || d.SingleUseAPITokens,
		MaxQueueBytes:      cmp.Or(t.MaxQueueBytes, d.MaxQueueBytes),
		ReconnectWindow:    cmp.Or(t.ReconnectWindow, d.ReconnectWindow),
		MaxUnackedMessages: cmp.Or(t.MaxUnackedMessages, d.MaxUnackedMessages),
		MaxUnackedBytes:    cmp.Or(t.MaxUnackedBytes, d.MaxUnackedBytes),
		SlowConsumer:       cmp.Or(t.SlowConsumer, d.SlowConsumer),
		Presence:           t.Presence || d.Presence,
		MaxGroupStates:     cmp.Or(t.MaxGroupStates, d.MaxGroupStates),
		HistoryMessages:    cmp.Or(t.HistoryMessages, d.HistoryMessages),
		HistoryBytes:       cmp.Or(t.HistoryBytes, d.HistoryBytes),
		HistoryAge:         cmp.Or(t.HistoryAge, d.HistoryAge),
		Groups:             t.Groups,
		Events:             cmp.Or(t.Events, d.Events),
	}
}

// Validate reports every problem with its key, relative to this struct.
func (c *Config) Validate(report func(key, problem string)) {
	if c.MaxHubs < 0 {
		report("max_hubs", negative(c.MaxHubs))
	}
	if limit := c.WithDefaults().MaxHubs; limit > 0 && len(c.Hubs) > limit {
		report("max_hubs", fmt.Sprintf("%d is below the %d declared hubs", limit, len(c.Hubs)))
	}
	if c.TokenNotice < 0 {
		report("token_notice", negative(c.TokenNotice))
	}
	if c.MaxNodeUnackedBytes < 0 {
		report("max_node_unacked_bytes", negative(c.MaxNodeUnackedBytes))
	}
	if c.MaxNodeStateBytes < 0 {
		report("max_node_state_bytes", negative(c.MaxNodeStateBytes))
	}
	if c.MaxNodeHistoryBytes < 0 {
		report("max_node_history_bytes", negative(c.MaxNodeHistoryBytes))
	}
	c.Defaults.validate("defaults", report)
	c.Defaults.validateDefaults("defaults", report)
	declared := make(map[string]string, len(c.Hubs))
	for _, name := range slices.Sorted(maps.Keys(c.Hubs)) {
		key := "hubs." + name
		if !auth.ValidHub(name) {
			report(key, "not a hub name: a letter, then at most 127 letters, digits and _ ` , . [ ]")
		}
		if first, ok := declared[auth.CanonicalHub(name)]; ok {
			report(key, fmt.Sprintf("the same hub as %q: the case of letters does not matter", first))
		}
		declared[auth.CanonicalHub(name)] = name
		tenant := c.Hubs[name]
		tenant.validate(key, report)
	}
}

func (t *Tenant) validate(prefix string, report func(key, problem string)) {
	for _, f := range []struct {
		key string
		n   int
	}{
		{"max_sessions", t.MaxSessions},
		{"max_connections_per_user", t.MaxConnectionsPerUser},
		{"max_groups", t.MaxGroups},
		{"max_groups_per_session", t.MaxGroupsPerSession},
		{"max_group_name_bytes", t.MaxGroupNameBytes},
		{"max_message_size", t.MaxMessageSize},
		{"max_messages_per_second", t.MaxMessagesPerSecond},
		{"max_bytes_per_second", t.MaxBytesPerSecond},
		{"max_messages_per_second_per_connection", t.MaxMessagesPerSecondPerConnection},
		{"max_bytes_per_second_per_connection", t.MaxBytesPerSecondPerConnection},
		{"max_queue_bytes", t.MaxQueueBytes},
		{"max_unacked_messages", t.MaxUnackedMessages},
		{"max_unacked_bytes", t.MaxUnackedBytes},
		{"max_group_states", t.MaxGroupStates},
	} {
		if f.n < 0 {
			report(prefix+"."+f.key, negative(f.n))
		}
	}
	switch w := t.ReconnectWindow; {
	case w < 0:
		report(prefix+".reconnect_window", negative(w))
	case w > 0 && w < tick, w > maxWindow:
		report(prefix+".reconnect_window", fmt.Sprintf("%v is not between %v and %v", w, tick, maxWindow))
	}
	if t.MaxGroupNameBytes > wire.MaxGroup {
		report(prefix+".max_group_name_bytes", fmt.Sprintf("%d is above %d, the limit of the protocol", t.MaxGroupNameBytes, wire.MaxGroup))
	}
	oneOf(prefix+".duplicate_login", t.DuplicateLogin, report, AllowDuplicates, NewestWins, OldestWins)
	oneOf(prefix+".slow_consumer", t.SlowConsumer, report, slowConsumers...)
	validateHistory(prefix, t.HistoryMessages, t.HistoryBytes, t.HistoryAge, report)
	t.validateGroups(prefix+".groups", report)
	oneOf(prefix+".events", t.Events, report, EventsNone, EventsEcho)
	if len(t.Label) > maxLabel {
		report(prefix+".label", fmt.Sprintf("longer than %d bytes", maxLabel))
	}
	auth.ValidateKeys(prefix+".keys", t.Keys, report)
	auth.ValidateIssuers(prefix+".issuers", t.Issuers, report)
	auth.ValidateOrigins(prefix+".origins", t.Origins, report)
}

// validateDefaults reports what cannot be the default of all hubs.
func (t *Tenant) validateDefaults(prefix string, report func(key, problem string)) {
	if len(t.Keys) > 0 {
		report(prefix+".keys", "the keys of all hubs are auth.keys")
	}
	if len(t.Issuers) > 0 {
		report(prefix+".issuers", "the issuers of all hubs are auth.issuers")
	}
	if len(t.Origins) > 0 {
		report(prefix+".origins", "the origins of all hubs are auth.origins")
	}
	if c := t.ClientCert; c.User != "" || c.Required {
		report(prefix+".client_cert", "who clients are by their certificates is set for a single hub")
	}
	if !t.Addresses.Empty() {
		report(prefix+".addresses", "the rules of all hubs are access.rules")
	}
	if t.Label != "" {
		report(prefix+".label", "a label is for a single hub")
	}
}

// oneOf reports a value that is none of the known ones; "" means the default.
func oneOf(key, value string, report func(key, problem string), known ...string) {
	if value != "" && !slices.Contains(known, value) {
		report(key, fmt.Sprintf("%q is not one of %q", value, known))
	}
}

func negative[T int | time.Duration](n T) string {
	return fmt.Sprintf("%v is negative (0 means the default)", n)
}
