package node

import (
	"net/http"

	"sluice/auth"
	"sluice/engine"
	"sluice/gateway"
	"sluice/hub"
	"sluice/internal/metrics"
	"sluice/sockjs"
)

// handler is what the engine drives.
type handler interface {
	engine.Handler
	engine.HTTPHandler
}

// withSockJS puts SockJS before the gateway, where it is enabled.
func (n *Node) withSockJS(gate *gateway.Gateway, tenants *auth.Tenants, m *metrics.Node) handler {
	if !n.cfg.SockJS.Enable {
		return gate
	}
	var loops []hub.Loop
	for _, l := range n.engine.Loops() {
		loops = append(loops, l)
	}
	n.sockjs = sockjs.New(n.cfg.SockJS, sockjs.Options{
		Loops: loops,
		Admit: func(r *http.Request, hub string, offered []string) (sockjs.Admission, *engine.Refusal) {
			a, refusal := gate.Admit(r, hub, offered)
			return sockjs.Admission(a), refusal
		},
		Patience:    n.cfg.Engine.HandshakeTimeout,
		AllowOrigin: func(hub, origin, host string) bool { return tenants.Origins(hub).Allow(origin, host) },
		Cookie:      n.cfg.Auth.Cookie,
		Refused:     func(reason string) { m.HandshakeRejections.With(reason).Inc() },
		Dropped:     func(reason string) { m.DroppedMessages.With(reason).Inc() },
	})
	return n.sockjs.Handler(gate)
}

// populations returns the clients that do not come by a plain WebSocket.
func (n *Node) populations() []sockjs.Population {
	if n.sockjs == nil {
		return nil
	}
	return n.sockjs.Populations()
}
