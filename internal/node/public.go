package node

import (
	"context"
	"net/http"
	"sync"
	"time"

	"sluice/api"
	"sluice/engine"
	"sluice/gateway"
	"sluice/hub"
	"sluice/internal/metrics"
	"sluice/sse"
)

// What is served on the client port beside WebSockets.

// handler is what the engine drives.
type handler interface {
	engine.Handler
	engine.HTTPHandler
}

// front claims what net/http serves and neither the gateway nor SockJS knows of.
type front struct {
	handler
	sse     *sse.Server // nil where there is none
	landing bool
}

// ServesHTTP implements engine.HTTPHandler.
func (f front) ServesHTTP(r *http.Request) bool {
	return f.sse != nil && f.sse.Serves(r) || f.landing && api.ServesLanding(r) || f.handler.ServesHTTP(r)
}

// withStreams puts Server-Sent Events and the landing page before the other ways
// in, where they are enabled.
func (n *Node) withStreams(next handler, gate *gateway.Gateway, allowOrigin func(hub, origin, host string) bool, m *metrics.Node) handler {
	if n.cfg.SSE.Enable {
		n.sse = sse.New(n.cfg.SSE, sse.Options{
			Loops: n.loops(),
			Admit: func(r *http.Request, hub string) (sse.Admission, *engine.Refusal) {
				if refusal := n.engine.Overload(); refusal != nil {
					return sse.Admission{}, refusal
				}
				a, refusal := engine.Patiently(n.arrivals, r, n.cfg.Engine.HandshakeTimeout, func(r *http.Request) (gateway.Admission, *engine.Refusal) {
					return gate.Admit(r, hub, []string{"json.sluice.v1"})
				})
				return sse.Admission{Expires: a.Expires, Permissions: a.Permissions, Listen: a.Listen}, refusal
			},
			Enter:       n.enter,
			AllowOrigin: allowOrigin,
			Refused:     refusedBy(m),
			Dropped:     droppedBy(m),
		})
	}
	if n.sse == nil && !n.cfg.Landing.Enable {
		return next
	}
	return front{handler: next, sse: n.sse, landing: n.cfg.Landing.Enable}
}

// servesPublic tells whether anything is served on the client port by net/http.
func (n *Node) servesPublic() bool {
	return n.cfg.API.Public || n.sockjs != nil || n.sse != nil || n.cfg.Landing.Enable
}

// publicPages returns what net/http serves on the client port: the data plane,
// SockJS, Server-Sent Events and the landing page. A request for anything else goes
// back to a loop.
func (n *Node) publicPages(gate engine.HTTPHandler, data http.Handler, m *metrics.Node) http.Handler {
	refused := refusedBy(m)
	landing := api.NewLanding(n.cfg.Landing, n.ready)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !n.welcome(w, r, refused):
		case !gate.ServesHTTP(r):
			n.engine.TakeBack(w, r)
		case n.sockjs != nil && n.sockjs.Serves(r):
			n.sockjs.ServeHTTP(w, r)
		case n.sse != nil && n.sse.Serves(r):
			n.sse.ServeHTTP(w, r)
		case n.cfg.Landing.Enable && api.ServesLanding(r):
			landing.ServeHTTP(w, r)
		default:
			data.ServeHTTP(w, r)
		}
	})
}

// loops returns the event loops as the hubs know them.
func (n *Node) loops() (loops []hub.Loop) {
	for _, l := range n.engine.Loops() {
		loops = append(loops, l)
	}
	return loops
}

// refusedBy and droppedBy return what counts for the transports over HTTP.
func refusedBy(m *metrics.Node) func(reason string) {
	return func(reason string) { m.HandshakeRejections.With(reason).Inc() }
}

func droppedBy(m *metrics.Node) func(reason string) {
	return func(reason string) { m.DroppedMessages.With(reason).Inc() }
}

// drainHTTP closes the clients over HTTP, spread over the window.
func (n *Node) drainHTTP(ctx context.Context, window time.Duration) {
	n.stopArrivals()
	var both sync.WaitGroup
	if n.sockjs != nil {
		both.Go(func() { n.sockjs.Drain(ctx, window, n.cfg.Engine.RetryAfter) })
	}
	if n.sse != nil {
		both.Go(func() { n.sse.Drain(ctx, window, n.cfg.Engine.RetryAfter) })
	}
	both.Wait()
}

// closeHTTP ends what is left of them.
func (n *Node) closeHTTP() {
	if n.sockjs != nil {
		n.sockjs.Close()
	}
	if n.sse != nil {
		n.sse.Close()
	}
}

// population is how many clients of a hub come by one transport.
type population struct {
	hub, transport string
	sessions       int
}

// populations returns the clients that do not come by a plain WebSocket.
func (n *Node) populations() (list []population) {
	if n.sockjs != nil {
		for _, p := range n.sockjs.Populations() {
			list = append(list, population{p.Hub, p.Transport, p.Sessions})
		}
	}
	if n.sse != nil {
		for name, streams := range n.sse.Streams() {
			list = append(list, population{name, "sse", streams})
		}
	}
	return list
}
