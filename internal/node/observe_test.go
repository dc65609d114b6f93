package node

import (
	"strings"
	"testing"

	"sluice/api"
	"sluice/api/login"
	"sluice/auth"
	"sluice/engine"
	"sluice/hub"
	"sluice/hub/wire"
	"sluice/internal/metrics"
	"sluice/internal/testkit"
)

// TestLabelsAreDeclared: the metrics list every label value that the parts can
// give them, so that nothing is counted as "other".
func TestLabelsAreDeclared(t *testing.T) {
	m := metrics.New()
	for _, c := range engine.Causes() {
		if c == engine.CauseHandshakeTimeout || c == engine.CauseHandshakeRefused {
			continue // never opened
		}
		if m.ConnectionsClosed.With(c.String(), c.Initiator()) == m.ConnectionsClosed.With("?", "?") {
			t.Errorf("close: %s by %s is not declared", c, c.Initiator())
		}
	}
	for _, r := range auth.Reasons() {
		if m.HandshakeRejections.With(string(r)) == m.HandshakeRejections.With("?") {
			t.Errorf("handshake rejection %s is not declared", r)
		}
	}
	node := hub.New(hub.Config{CreateOnFirstUse: true}, 1)
	h, _ := node.Hub("chat")
	for _, c := range h.Stats().Refused {
		if m.RequestRefusals.With(c.Label) == m.RequestRefusals.With("?") {
			t.Errorf("request refusal %s is not declared", c.Label)
		}
	}
	for _, operation := range append(api.Operations(), api.NodeOperations()...) {
		if m.APIRequests.With(operation, "2xx") == m.APIRequests.With("?", "?") {
			t.Errorf("API operation %s is not declared", operation)
		}
	}
	for _, result := range login.Results() {
		if m.OpsLogins.With(result) == m.OpsLogins.With("?") {
			t.Errorf("result of a login %s is not declared", result)
		}
	}
	for _, r := range auth.CallReasons() {
		if m.APISingleUse.With(string(r)) == m.APISingleUse.With("?") {
			t.Errorf("refusal of a call %s is not declared", r)
		}
	}
	if m.DroppedMessages.With(hub.LoopOverloaded) == m.DroppedMessages.With("?") {
		t.Error("dropped message: loop overloaded is not declared")
	}
}

// TestMetricsPage reads what a scrape of a node with one client shows.
func TestMetricsPage(t *testing.T) {
	n := startNode(t, nil)
	dial(t, n, auth.Claims{Groups: []string{"g"}}).ReadText()
	_, page := get(t, n, "/metrics")
	for _, want := range []string{
		"\nsluice_connections 1\n", "\nsluice_connections_opened_total 1\n", "\nsluice_hubs 1\n",
		"\nsluice_hub_connections{hub=\"chat\",transport=\"websocket\"} 1\n", "\nsluice_readiness{state=\"ready\"} 1\n",
		"\nsluice_handshake_duration_seconds_count 1\n", "\nsluice_loop_connections{loop=\"0\"} ",
		"\nsluice_drain_remaining_connections 0\n", "\nsluice_groups 1\n", "\nsluice_build_info{",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q", want)
		}
	}
}

// TestSlowConsumers: a client that does not read is on the page for operators.
func TestSlowConsumers(t *testing.T) {
	n := startNode(t, nil)
	c := dial(t, n, auth.Claims{User: "slow", Groups: []string{"g"}})
	id := connectionID(t, c.ReadText())
	h, _ := n.hubs.Hub("chat")
	message := []byte(strings.Repeat("x", 64<<10))
	testkit.Eventually(t, testkit.Patience, func() bool { // until the kernel takes no more
		if err := h.SendToGroup("g", &hub.Outgoing{DataType: wire.Text, Data: message}, hub.Selection{}); err != nil {
			t.Fatal(err)
		}
		_, page := get(t, n, "/slow-consumers?n=1")
		return strings.Contains(page, `"connection":"`+id+`"`) && strings.Contains(page, `"hub":"chat"`)
	}, "the client is listed")
}
