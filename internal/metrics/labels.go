package metrics

import "strconv"

// reason is the only label of most counters that have one.
var reason = []string{"reason"}

// closeReasons are the causes of package engine, each with who ends the
// connection first.
var closeReasons = [][]string{
	{"client_close", "client"},
	{"client_gone", "client"},
	{"protocol_error", "client"},
	{"tls_error", "client"},
	{"assembly_timeout", "server"},
	{"draining", "server"},
	{"heartbeat_timeout", "server"},
	{"idle_timeout", "server"},
	{"input_backlog", "server"},
	{"internal_error", "server"},
	{"node_queue_budget", "server"},
	{"overload", "server"},
	{"queue_budget", "server"},
	{"server_close", "server"},
	{"slow_consumer", "server"},
	{"token_expired", "server"},
}

// handshakeRejections are why an opening handshake does not end in a
// connection.
var handshakeRejections = each(
	// the engine: not a handshake, or no room
	"capacity", "draining", "overload_lag", "overload_memory", "overload_queue", "head_too_large", "malformed", "method", "not_websocket", "pending_limit", "version",
	// the engine: it never became an answer
	"client_gone", "handshake_timeout", "internal_error", "tls_error",
	// the engine: it had to wait for an answer from elsewhere
	"early_input", "waiting_limit",
	// the engine: it could not be taken to where it belongs
	"http_failed", "http_limit", "move_failed", "move_queue_full",
	// the gateway: nowhere to go
	"invalid_hub", "mode", "subprotocol", "unknown_hub", "unknown_path",
	// auth.Reasons: may not come in
	"certificate_missing", "certificate_user", "issuer_unavailable", "origin_denied", "ticket_expired", "ticket_unknown", "token_algorithm", "token_audience", "token_claim", "token_expired", "token_group_invalid", "token_inactive", "token_malformed",
	"token_missing", "token_not_yet_valid", "token_revoked", "token_signature", "token_too_large",
	// access.Reasons: the address
	"address_banned", "address_connections", "address_denied", "address_http", "address_pending", "address_rate", "node_rate",
	// SockJS: no room for another session; the token is not that of the session;
	// another request waits for its messages already
	"session_limit", "session_denied", "session_busy",
	// Server-Sent Events: no room; the hub's own reason, which is among the request refusals; told not to come back; the groups
	"stream_limit", "stream_refused", "stream_over", "group_forbidden", "invalid_group",
)

// tlsHandshakes are what comes of a TLS handshake: the first two are successes.
var tlsHandshakes = each("full", "resumed", "client_gone", "draining", "failed", "plain_http", "refused", "timeout")

// introspections are what comes of asking a provider about a token. With the last
// two it was not asked.
var introspections = each("active", "inactive", "failed", "timeout", "breaker_open", "queue_full")

// maxIssuerLabels bounds the issuers, which the configuration names, with two
// sources each.
const maxIssuerLabels = 64

// proxyHeaders are what comes of waiting for a PROXY header.
var proxyHeaders = each("accepted", "client_gone", "draining", "failed", "malformed", "refused", "timeout", "untrusted")

// opsLogins are what comes of logins for the operations pages: those of package
// api/login.
var opsLogins = each("ok", "busy", "forbidden", "provider_unavailable", "refused", "state")

// droppedMessages are why a message did not reach a client.
// The names of slow-consumer policies are those of frame.Overflow.
var droppedMessages = each("conflate", "drop_newest", "drop_oldest", "expired", "loop_overloaded", "slow_consumer")

// requestRefusals are why a hub turned down a request of a client or a back end,
// or a client.
var requestRefusals = each("connection_flood", "connection_rate_limited", "duplicate", "forbidden", "group_full", "handler_failed", "hub_full", "hub_groups_full", "invalid_group", "malformed",
	"no_connection", "no_handler", "no_history", "no_presence", "not_member", "not_resumed", "overloaded", "rate_limited", "replaced", "states_full",
	"stream_exists", "stream_idle", "stream_not_found", "stream_out_of_order", "too_large", "too_many_groups", "too_many_rules",
	"too_many_streams", "unacked_full", "unauthorized", "unsupported", "unverified", "user_full")

// singleUseRefusals are auth.CallReasons.
var singleUseRefusals = each("full", "incomplete", "mismatch", "replayed", "stale")

// apiOperations are those of package api.
var apiOperations = []string{
	"add_address_rule", "add_connection", "add_node_address_rule", "add_to_groups", "add_user", "allowed", "close_all", "close_connection", "close_group", "close_user",
	"create_ticket", "end_ban", "generate_token", "grant", "has_connection", "has_group", "has_user", "history", "list_address_rules", "list_bans", "list_group", "list_node_address_rules", "list_user", "presence",
	"remove_address_rule", "remove_connection", "remove_node_address_rule",
	"remove_connection_from_all", "remove_from_groups", "remove_user", "remove_user_from_all", "revoke", "revoke_tokens",
	"send_many", "send_to_all", "send_to_connection", "send_to_group", "send_to_user",
}

// statusClasses are the statuses of answers, by their first digit.
var statusClasses = []string{"2xx", "4xx", "5xx"}

// StatusClass returns the class of an HTTP status as a label.
func StatusClass(status int) string {
	switch {
	case status >= 500:
		return "5xx"
	case status >= 400:
		return "4xx"
	}
	return "2xx"
}

// httpStatuses are those that parts of the node or net/http answer with.
var httpStatuses = []string{"200", "202", "204", "302", "303", "304", "307", "400", "401", "403", "404", "405", "408", "409", "412", "413", "415", "417", "422", "429", "431",
	"500", "501", "502", "503", "505", "507", NoAnswer}

// NoAnswer is the label of a request that got no answer.
const NoAnswer = "none"

// HTTPStatus returns a status as a label; 0 is for no answer.
func HTTPStatus(status int) string {
	if status == 0 {
		return NoAnswer
	}
	return strconv.Itoa(status)
}

// pairs returns all combinations of two labels.
func pairs(first, second []string) (combinations [][]string) {
	for _, a := range first {
		for _, b := range second {
			combinations = append(combinations, []string{a, b})
		}
	}
	return combinations
}

// ReadinessStates are what a node can be for new clients.
var ReadinessStates = []string{"starting", "ready", "full", "overloaded", "draining"}

// overloads are what a node can be overloaded by, and overloadLevels what it comes to
// be of each: those of package overload.
var (
	overloads      = []string{"lag", "memory", "queue"}
	overloadLevels = []string{"normal", "refusing", "shedding"}
)

// maxLoopLabels is the most event loops a node can have.
const maxLoopLabels = 256

// each returns the combinations of a single label.
func each(values ...string) [][]string {
	combinations := make([][]string, len(values))
	for i, v := range values {
		combinations[i] = []string{v}
	}
	return combinations
}

// addressLists are the lists of package access.
var addressLists = []string{"allow", "deny", "shadow_allow", "shadow_deny"}
