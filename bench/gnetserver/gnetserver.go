// Package gnetserver holds servers that do nothing but the system calls
// that a gateway on gnet cannot do without, and for its HTTP API one on net/http.
// They are the floor to which the figures of Sluice are compared, measured in the
// same run by the same client.
//
// Run blocks its caller; everything else happens on the one event loop of a
// server, on one core, so that no lock or second loop stands in the way.
package gnetserver

import (
	"context"
	"fmt"

	"github.com/panjf2000/gnet/v2"
)

// Run serves on addr, "host:port", until ctx ends. ready is called with the
// server listening.
func Run(ctx context.Context, name, addr string, ready func()) error {
	if name == "http-empty" {
		return serveEmpty(ctx, addr, ready)
	}
	base := base{ctx: ctx, ready: ready}
	var handler gnet.EventHandler
	switch name {
	case "gnet-echo":
		handler = &echo{base}
	case "gnet-write":
		handler = &writer{base: base, groups: map[group]*members{}}
	case "gnet-write-joined":
		handler = &writer{base: base, groups: map[group]*members{}, joined: true}
	case "gnet-upgrade":
		handler = &upgrader{base}
	default:
		return fmt.Errorf("there is no server %q", name)
	}
	return gnet.Run(handler, "tcp://"+addr, gnet.WithNumEventLoop(1), gnet.WithTCPNoDelay(gnet.TCPNoDelay),
		gnet.WithReuseAddr(true)) // started again right after a storm
}

// Names lists the servers.
func Names() []string {
	return []string{"gnet-echo", "gnet-write", "gnet-write-joined", "gnet-upgrade", "http-empty"}
}

// base is what they have in common: when they begin and end.
type base struct {
	gnet.BuiltinEventEngine
	ctx   context.Context
	ready func()
}

// OnBoot implements gnet.EventHandler.
func (b *base) OnBoot(e gnet.Engine) gnet.Action {
	context.AfterFunc(b.ctx, func() { _ = e.Stop(context.Background()) })
	b.ready()
	return gnet.None
}

// echo writes back what it reads.
type echo struct{ base }

// OnTraffic implements gnet.EventHandler.
func (*echo) OnTraffic(c gnet.Conn) gnet.Action {
	p, err := c.Next(-1)
	if err == nil {
		_, err = c.Write(p)
	}
	if err != nil {
		return gnet.Close
	}
	return gnet.None
}
