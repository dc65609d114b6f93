package metrics

// reason is the only label of most counters that have one.
var reason = []string{"reason"}

// closeReasons are the causes of package engine, each with who ends the
// connection first.
var closeReasons = [][]string{
	{"client_close", "client"},
	{"client_gone", "client"},
	{"protocol_error", "client"},
	{"assembly_timeout", "server"},
	{"draining", "server"},
	{"heartbeat_timeout", "server"},
	{"idle_timeout", "server"},
	{"input_backlog", "server"},
	{"internal_error", "server"},
	{"node_queue_budget", "server"},
	{"server_close", "server"},
	{"slow_consumer", "server"},
	{"token_expired", "server"},
}

// handshakeRejections are why an opening handshake does not end in a
// connection.
var handshakeRejections = each(
	// the engine: not a handshake, or no room
	"capacity", "draining", "head_too_large", "malformed", "method", "not_websocket", "pending_limit", "version",
	// the engine: it never became an answer
	"client_gone", "handshake_timeout", "internal_error",
	// the engine: it could not be taken to where it belongs
	"http_failed", "http_limit", "move_failed", "move_queue_full",
	// the gateway: nowhere to go
	"invalid_hub", "subprotocol", "unknown_hub", "unknown_path",
	// auth.Reasons: may not come in
	"origin_denied", "token_algorithm", "token_audience", "token_expired", "token_group_invalid", "token_malformed",
	"token_missing", "token_not_yet_valid", "token_signature", "token_too_large",
)

// droppedMessages are why a message did not reach a client.
// The names of slow-consumer policies are those of frame.Overflow.
var droppedMessages = each("conflate", "drop_newest", "drop_oldest", "loop_overloaded", "slow_consumer")

// requestRefusals are why a hub turned down a request or a client.
var requestRefusals = each("forbidden", "hub_full", "hub_groups_full", "invalid_group", "malformed", "no_handler", "overloaded",
	"too_many_groups", "unsupported")

// ReadinessStates are what a node can be for new clients.
var ReadinessStates = []string{"starting", "ready", "full", "draining"}

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
