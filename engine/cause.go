package engine

// Cause says why a connection ended. Its String is a metric label and stays
// the same between releases.
type Cause uint8

// The causes. Each has one initiator: who ended the connection first.
const (
	causeNone Cause = iota

	CauseClientClose      // close frame from the client
	CauseClientGone       // end of file or reset without a close frame
	CauseServerClose      // asked for by the handler's side
	CauseTokenExpired     // Acceptance.Expires has come
	CauseProtocolError    // the client broke RFC 6455 or RFC 7692
	CauseTLSError         // the client broke TLS, after its handshake
	CauseSlowConsumer     // outbound queue over its high mark
	CauseNodeQueueBudget  // shed because all queues together were over budget
	CauseQueueBudget      // shed because the queues that share a budget with it were over it
	CauseOverload         // shed because the node was overloaded
	CauseHeartbeatTimeout // no sign of life after a ping
	CauseIdleTimeout      // no message for the idle timeout
	CauseAssemblyTimeout  // a frame or message was begun and not finished
	CauseInputBacklog     // sent more than could be delivered
	CauseHandshakeTimeout // the request head did not come in time
	CauseHandshakeRefused // answered with an HTTP error
	CauseDraining         // the node is going away
	CauseInternalError    // a panic in code that served this connection

	causeCount
)

var causes = [causeCount]struct{ label, initiator string }{
	causeNone:             {"none", "server"},
	CauseClientClose:      {"client_close", "client"},
	CauseClientGone:       {"client_gone", "client"},
	CauseServerClose:      {"server_close", "server"},
	CauseTokenExpired:     {"token_expired", "server"},
	CauseProtocolError:    {"protocol_error", "client"},
	CauseTLSError:         {"tls_error", "client"},
	CauseSlowConsumer:     {"slow_consumer", "server"},
	CauseNodeQueueBudget:  {"node_queue_budget", "server"},
	CauseQueueBudget:      {"queue_budget", "server"},
	CauseOverload:         {"overload", "server"},
	CauseHeartbeatTimeout: {"heartbeat_timeout", "server"},
	CauseIdleTimeout:      {"idle_timeout", "server"},
	CauseAssemblyTimeout:  {"assembly_timeout", "server"},
	CauseInputBacklog:     {"input_backlog", "server"},
	CauseHandshakeTimeout: {"handshake_timeout", "server"},
	CauseHandshakeRefused: {"handshake_refused", "server"},
	CauseDraining:         {"draining", "server"},
	CauseInternalError:    {"internal_error", "server"},
}

// String returns the metric label.
func (c Cause) String() string { return causes[c].label }

// Initiator returns who ended the connection first: "client" or "server".
func (c Cause) Initiator() string { return causes[c].initiator }

// Causes lists every cause a closed connection can have.
func Causes() []Cause {
	all := make([]Cause, 0, causeCount-1)
	for c := causeNone + 1; c < causeCount; c++ {
		all = append(all, c)
	}
	return all
}
