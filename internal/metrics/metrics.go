// Package metrics is every figure a node shows on /metrics: name, labels and
// help text, in one place.
//
// It owns the counters and the text format. It does not know what is counted:
// the parts of the node add to the fields of [Node] from any goroutine, and
// figures that a part keeps for itself are copied in by an [Node.OnScrape]
// hook. Label values come from the closed lists in labels.go, so that no client
// can make the page grow.
package metrics

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	vm "github.com/VictoriaMetrics/metrics"
)

// A Counter only goes up. Add to it once per batch where many goroutines would
// meet on its cache line.
type Counter = vm.Counter

// A Gauge goes up and down.
type Gauge = vm.Gauge

// Node is the figures of one node. The fields are set by New and stay; their
// methods may be called from any goroutine.
type Node struct {
	// Connections.
	Connections          *Gauge
	ConnectionsOpened    *Counter
	ConnectionsClosed    *CounterVec // reason, initiator
	HubConnections       *GaugeVec   // hub, transport
	HubQueue             *GaugeVec   // hub
	HTTPConnections      *Gauge
	HandshakeRejections  *CounterVec // reason
	HandshakesWaiting    *Gauge
	HandshakeDuration    *Histogram // nanoseconds
	AcceptErrors         *Counter
	AddressRules         *GaugeVec   // list
	AddressRuleReloads   *CounterVec // result
	AddressShadowed      *Counter
	AddressBans          *Counter
	AddressesTracked     *Gauge
	AddressesEvicted     *Counter
	TLSConnections       *Gauge
	TLSHandshakes        *CounterVec // result
	ProxyHeaders         *CounterVec // result
	CertificateReloads   *CounterVec // result
	IssuerFetches        *CounterVec // result
	OpsLogins            *CounterVec // result
	IssuerBreakerOpen    *GaugeVec   // issuer, source
	Introspections       *CounterVec // result
	IntrospectionCache   *Gauge      // answers
	CertificateExpiry    *Gauge      // seconds of Unix time
	TLSHandshakeDuration *Histogram  // nanoseconds
	HeartbeatTimeouts    *Counter

	// Traffic with clients.
	MessagesReceived *Counter
	MessagesSent     *Counter
	ReceivedBytes    *Counter
	SentBytes        *Counter
	OutboundQueue    *Gauge // bytes
	SlowConnections  *Gauge
	SlowConsumers    *Counter
	DroppedMessages  *CounterVec // reason
	DeliveryLatency  *Histogram  // nanoseconds

	// Hubs.
	Hubs            *Gauge
	Groups          *Gauge
	FanOut          *Histogram // members
	GroupPublished  *Counter
	SessionsAway    *Gauge
	SessionsResumed *Counter
	UnackedBytes    *Gauge
	StateBytes      *Gauge
	HistoryBytes    *Gauge
	HistoryEvicted  *Counter
	GroupDelivered  *Counter
	ServerDelivered *Counter
	RequestRefusals *CounterVec // reason

	// The HTTP API for back ends.
	APIRequests  *CounterVec // operation, status
	APIDuration  *Histogram  // nanoseconds
	APISingleUse *CounterVec // reason

	// All that HTTP servers answer, on both ports.
	HTTPAnswers   *CounterVec // listener, status
	HTTPEvictions *Counter

	// The event loops.
	LoopConnections   *GaugeVec  // loop
	LoopLastLag       *GaugeVec  // loop; seconds
	LoopLag           *Histogram // nanoseconds
	LoopTasksRejected *Counter

	// The node itself.
	Readiness          *GaugeVec   // state
	OverloadState      *GaugeVec   // reason; 0 normal, 1 refusing, 2 shedding
	OverloadChanges    *CounterVec // reason, state
	DrainRemaining     *Gauge
	Panics             *Counter
	LogLinesDropped    *Counter
	LogLinesSuppressed *Counter
	buildInfo          *family

	// static once the node serves
	families []*family
	hooks    []func()

	mu sync.Mutex // one scrape at a time runs the hooks and reads what they set
}

// New returns a node's figures, all zero and all shown from the start: a series
// that appears with its first event hides that event from rate().
func New() *Node {
	n := new(Node)

	n.Connections = n.gauge("sluice_connections", "WebSocket connections that are open.")
	n.HTTPConnections = n.gauge("sluice_http_connections", "Connections on the client port that went to the HTTP API.")
	n.HubConnections = n.gaugeVec("sluice_hub_connections", "Clients connected to a hub, by hub and transport; hubs beyond the first 100 are together.",
		maxHubLabels, "hub", "transport")
	n.HubQueue = n.gaugeVec("sluice_hub_outbound_queue_bytes", "Bytes that clients of a hub have not read yet, by hub; hubs beyond the first 100 are together.",
		maxHubLabels, "hub")
	n.ConnectionsOpened = n.counter("sluice_connections_opened_total", "WebSocket connections opened.")
	n.ConnectionsClosed = n.counterVec("sluice_connections_closed_total", "WebSocket connections ended, by why and by who ended them first.",
		[]string{"reason", "initiator"}, closeReasons)
	n.HandshakeRejections = n.counterVec("sluice_handshake_rejections_total", "Opening handshakes that were refused or not finished.",
		reason, handshakeRejections)
	n.HandshakesWaiting = n.gauge("sluice_waiting_handshakes", "Opening handshakes that wait for an identity provider.")
	n.HandshakeDuration = n.histogram("sluice_handshake_duration_seconds", "Time from the TCP connection to the 101 answer, of handshakes that succeeded.",
		nanosecond, durations(time.Millisecond, 10*time.Second)...)
	n.AcceptErrors = n.counter("sluice_accept_errors_total", "Failures to accept a connection, such as running out of file descriptors.")
	n.AddressRules = n.gaugeVec("sluice_address_rules", "Ranges of addresses in the rules of all hubs and of single ones, by list.", len(addressLists), "list")
	for _, list := range addressLists {
		n.AddressRules.With(list)
	}
	n.AddressRuleReloads = n.counterVec("sluice_address_rule_reloads_total", "Times that changed files of address rules were read, by result; those before stay in force after a failure.",
		[]string{"result"}, each("ok", "failed"))
	n.AddressShadowed = n.counter("sluice_address_shadow_refusals_total", "Clients that shadow rules would have refused.")
	n.AddressBans = n.counter("sluice_address_bans_total", "Times that an address was banned for too many failures.")
	n.AddressesTracked = n.gauge("sluice_addresses_tracked", "Addresses that are remembered for rates and bans.")
	n.AddressesEvicted = n.counter("sluice_addresses_evicted_total", "Addresses that were forgotten before their rate or ban had come to its end, because there were too many.")
	n.TLSConnections = n.gauge("sluice_tls_connections", "Connections on the event loops that speak TLS, from the end of their TLS handshake on.")
	n.TLSHandshakes = n.counterVec("sluice_tls_handshakes_total", "TLS handshakes, by what came of them.",
		[]string{"result"}, tlsHandshakes)
	n.TLSHandshakeDuration = n.histogram("sluice_tls_handshake_duration_seconds", "Time of the TLS handshakes that succeeded, waiting for the client included.",
		nanosecond, durations(time.Millisecond, 10*time.Second)...)
	n.CertificateReloads = n.counterVec("sluice_tls_certificate_reloads_total", "Times that changed certificate files were read, by result; those before stay in force after a failure.",
		[]string{"result"}, each("ok", "failed"))
	n.IssuerFetches = n.counterVec("sluice_issuer_key_fetches_total", "Times that an identity provider was asked for its keys, by result; those before stay in force for a day after a failure.",
		[]string{"result"}, each("ok", "failed"))
	n.OpsLogins = n.counterVec("sluice_ops_logins_total", "Logins for the operations pages, by what came of them.",
		[]string{"result"}, opsLogins)
	n.IssuerBreakerOpen = n.gaugeVec("sluice_issuer_breaker_open", "1 while nobody waits for an identity provider because it has failed several times in a row, by issuer and by what it is asked for; issuers beyond the first 32 are together.",
		maxIssuerLabels, "issuer", "source")
	n.Introspections = n.counterVec("sluice_introspections_total", "Times that an identity provider was to be asked about a token, by what came of it.",
		[]string{"result"}, introspections)
	n.IntrospectionCache = n.gauge("sluice_introspection_cache_entries", "Answers about tokens that are remembered.")
	n.CertificateExpiry = n.gauge("sluice_tls_certificate_expiry_timestamp_seconds", "When the first of the certificates in force expires, in Unix time; 0 without TLS.")
	n.ProxyHeaders = n.counterVec("sluice_proxy_headers_total", "PROXY headers expected at the beginning of connections, by what came of them.",
		[]string{"result"}, proxyHeaders)
	n.HeartbeatTimeouts = n.counter("sluice_heartbeat_timeouts_total", "Connections given up because a ping was not answered.")

	n.MessagesReceived = n.counter("sluice_messages_received_total", "Messages received from clients.")
	n.MessagesSent = n.counter("sluice_messages_sent_total", "Messages queued for clients, each copy counted.")
	n.ReceivedBytes = n.counter("sluice_received_bytes_total", "Bytes read from client connections, framing included.")
	n.SentBytes = n.counter("sluice_sent_bytes_total", "Bytes written to client connections, framing included.")
	n.OutboundQueue = n.gauge("sluice_outbound_queue_bytes", "Bytes that wait for slow client connections, all together.")
	n.SlowConnections = n.gauge("sluice_slow_connections", "Connections that count as slow consumers now.")
	n.SlowConsumers = n.counter("sluice_slow_consumers_total", "Times a connection began to count as a slow consumer.")
	n.DroppedMessages = n.counterVec("sluice_dropped_messages_total", "Messages to clients that were lost.",
		reason, droppedMessages)

	n.DeliveryLatency = n.histogram("sluice_delivery_latency_seconds", "Time from a publication to the end of its writes to the sockets of one loop; a sample of all.",
		nanosecond, durations(10*time.Microsecond, 10*time.Second)...)

	n.Hubs = n.gauge("sluice_hubs", "Hubs (tenants) that exist.")
	n.Groups = n.gauge("sluice_groups", "Groups with at least one member, in all hubs.")
	n.FanOut = n.histogram("sluice_fan_out_members", "Members of a group at each publication to it.",
		1, 0, 1, 2, 5, 10, 100, 1000, 10_000, 100_000, 1_000_000)
	n.SessionsAway = n.gauge("sluice_sessions_away", "Reliable sessions whose connection broke and whose client may come back.")
	n.SessionsResumed = n.counter("sluice_sessions_resumed_total", "Times a client came back to its reliable session.")
	n.UnackedBytes = n.gauge("sluice_unacked_bytes", "Bytes that reliable sessions hold for their clients.")
	n.StateBytes = n.gauge("sluice_state_bytes", "Bytes of the states that clients have set in groups.")
	n.HistoryBytes = n.gauge("sluice_history_bytes", "Bytes of the messages that are kept as the history of groups.")
	n.HistoryEvicted = n.counter("sluice_history_evicted_messages_total", "Messages that were dropped from a history because all together were over their budget.")
	n.GroupPublished = n.counter("sluice_group_messages_published_total", "Messages accepted from clients and back ends for a group.")
	n.GroupDelivered = n.counter("sluice_group_messages_delivered_total", "Copies of group messages handed to the connections of members.")
	n.ServerDelivered = n.counter("sluice_server_messages_delivered_total", "Messages from back ends that are not for a group, each copy handed to a connection.")
	n.RequestRefusals = n.counterVec("sluice_request_refusals_total", "Requests of clients and back ends, and clients, that a hub turned down.",
		reason, requestRefusals)

	n.APIRequests = n.counterVec("sluice_api_requests_total", "Calls of the HTTP API for back ends, by operation and class of the answer's status.",
		[]string{"operation", "status"}, pairs(apiOperations, statusClasses))
	n.APIDuration = n.histogram("sluice_api_request_duration_seconds", "Time from the head of a call of the HTTP API to its answer.",
		nanosecond, durations(100*time.Microsecond, 10*time.Second)...)

	n.APISingleUse = n.counterVec("sluice_api_single_use_refusals_total", "Calls about hubs that take each token once that were refused because of that.",
		reason, singleUseRefusals)
	n.HTTPAnswers = n.counterVec("sluice_http_answers_total", "Answers of the HTTP servers, by listener and status; none is a request that was not whole in time.",
		[]string{"listener", "status"}, pairs([]string{"client", "operations"}, httpStatuses))

	n.HTTPEvictions = n.counter("sluice_http_evictions_total", "Silent HTTP connections on the client port that were closed because there were too many of them.")

	n.LoopConnections = n.gaugeVec("sluice_loop_connections", "Sockets on an event loop, handshakes included.", maxLoopLabels, "loop")
	n.LoopLastLag = n.gaugeVec("sluice_loop_last_lag_seconds", "How late an event loop came to its latest tick; rises while the loop is stuck.", maxLoopLabels, "loop")
	n.LoopLag = n.histogram("sluice_loop_lag_seconds", "How late the event loops came to their ticks.",
		nanosecond, durations(100*time.Microsecond, 10*time.Second)...)
	n.LoopTasksRejected = n.counter("sluice_loop_tasks_rejected_total", "Tasks that an event loop refused because its inbox was full or it had stopped.")

	n.Readiness = n.gaugeVec("sluice_readiness", "State of the node for new clients; 1 for the one it is in.", len(ReadinessStates), "state")
	for _, state := range ReadinessStates {
		n.Readiness.With(state)
	}
	n.OverloadState = n.gaugeVec("sluice_overload_state", "What the node does about an overload, by what it is overloaded by: 0 nothing, 1 it refuses new work, 2 it closes the slowest clients too.",
		len(overloads), "reason")
	for _, what := range overloads {
		n.OverloadState.With(what)
	}
	n.OverloadChanges = n.counterVec("sluice_overload_transitions_total", "Times that sluice_overload_state changed, by reason and by what it changed to.",
		[]string{"reason", "state"}, pairs(overloads, overloadLevels))
	n.DrainRemaining = n.gauge("sluice_drain_remaining_connections", "Connections that a drain has still to close; 0 while none runs.")
	n.LogLinesDropped = n.counter("sluice_log_lines_dropped_total", "Log lines lost because they could not be written fast enough.")
	n.LogLinesSuppressed = n.counter("sluice_log_lines_suppressed_total", "Log lines about connections left out because there were too many of their kind.")
	n.Panics = n.counter("sluice_panics_total", "Bugs that were caught: each closed one connection or failed one task.")
	n.buildInfo = n.family("sluice_build_info", "gauge", "The running binary; always 1.")

	slices.SortFunc(n.families, func(a, b *family) int { return strings.Compare(a.name, b.name) })
	return n
}

// SetBuild says which binary this is. Call it once, before the node serves.
func (n *Node) SetBuild(version, commit, goVersion string) {
	labels := []string{"version", "commit", "go_version"}
	n.buildInfo.set.NewGauge(series(n.buildInfo.name, labels, []string{version, commit, goVersion}), nil).Set(1)
}

// OnScrape adds a hook that runs before every page is written, to copy in
// figures that a part of the node keeps for itself. Call it before the node
// serves. Hooks run on the goroutine of the scrape, one at a time, and must not
// block.
func (n *Node) OnScrape(hook func()) { n.hooks = append(n.hooks, hook) }

// WritePrometheus writes all figures in the Prometheus text format, each family
// once, with HELP and TYPE, in the order of their names. Any goroutine may call
// it.
func (n *Node) WritePrometheus(w io.Writer) {
	var page bytes.Buffer // so that no lock is held while a slow scraper reads
	n.render(&page)
	_, _ = w.Write(page.Bytes()) // a scraper that has gone needs no page
}

func (n *Node) render(page *bytes.Buffer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, hook := range n.hooks {
		hook()
	}
	writeProcess(page)
	for _, f := range n.families {
		f.write(page)
	}
}
