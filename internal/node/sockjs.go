package node

import (
	"net/http"

	"sluice/engine"
	"sluice/gateway"
	"sluice/internal/metrics"
	"sluice/sockjs"
)

// withSockJS puts SockJS before the gateway, where it is enabled.
func (n *Node) withSockJS(gate *gateway.Gateway, allowOrigin func(hub, origin, host string) bool, m *metrics.Node) handler {
	if !n.cfg.SockJS.Enable {
		return gate
	}
	n.sockjs = sockjs.New(n.cfg.SockJS, sockjs.Options{
		Loops: n.loops(),
		Admit: func(r *http.Request, hub string, offered []string) (sockjs.Admission, *engine.Refusal) {
			if refusal := n.engine.Overload(); refusal != nil {
				return sockjs.Admission{}, refusal
			}
			a, refusal := gate.Admit(r, hub, offered)
			return sockjs.Admission{Subprotocol: a.Subprotocol, Expires: a.Expires, Loop: a.Loop, Open: a.Open}, refusal
		},
		Patience:    n.cfg.Engine.HandshakeTimeout,
		Enter:       n.enter,
		Guessed:     func(r *http.Request) { n.guard.Failed(engine.AddressOf(r)) },
		AllowOrigin: allowOrigin,
		Cookie:      n.cfg.Auth.Cookie,
		Refused:     refusedBy(m),
		Dropped:     droppedBy(m),
	})
	return n.sockjs.Handler(gate)
}
