package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sluice/auth"
)

const (
	// SlowClients is what a node adds to the drain for clients that do not
	// answer their close at once.
	SlowClients = 10 * time.Second

	// longestStop is what systemd waits before it kills a service that does not
	// say otherwise.
	longestStop = 90 * time.Second

	// renewal is the time before the end of a certificate in which it should
	// have been renewed: common tools do that a month ahead.
	renewal = 14 * 24 * time.Hour

	// longestHeartbeat is the idle timeout of common proxies and load
	// balancers.
	longestHeartbeat = 60 * time.Second
)

// warn reports what may be meant but rarely is: none of it keeps a node from
// starting.
func (c *Config) warn(report func(key, text string)) {
	d := c.WithDefaults()
	if a, err := parseAddress(d.Ops); err == nil && !a.local() {
		warnOps(&d, report)
	}
	if d.EchoPath != "" {
		report("echo_path", fmt.Sprintf("anybody can connect to %s, without a token", d.EchoPath))
	}
	if stop := d.Drain.Grace + d.Drain.Window + SlowClients; stop > longestStop {
		report("drain.window", fmt.Sprintf("to stop takes up to %v with drain.grace and 10s for slow clients, longer than systemd (90s) and Kubernetes (30s) wait before they kill; raise TimeoutStopSec or terminationGracePeriodSeconds", durationText(stop)))
	}
	if slices.Contains(d.Auth.Origins, "*") && d.Auth.Cookie != auth.NoCookie {
		report("auth.origins", `with "*" any web page can act as its visitor where the token is in a cookie; name the pages, or set auth.cookie to "-"`)
	}
	if len(d.Auth.Keys) == 0 && !d.API.Disable {
		report("auth.keys", "none, so nobody can call the HTTP API of hubs that have no keys of their own")
	}
	if len(d.Hub.Hubs) == 0 && !d.Hub.CreateOnFirstUse {
		report("hub.hubs", "no hub is declared and none is made on first use, so every client will get 404; declare one, or set hub.create_on_first_use")
	}
	c.TLS.Expiring(time.Now(), renewal, func(key, text string) { report("tls."+key, text) })
	if most := c.Engine.WithDefaults().MaxHTTPConnections; d.SSE.Enable && d.SSE.MaxStreams >= most {
		report("sse.max_streams", fmt.Sprintf("%d leaves nothing of engine.max_http_connections, %d, to the HTTP API and SockJS", d.SSE.MaxStreams, most))
	}
	c.warnEngine(report)
	warnOverload(&d, report)
	c.warnProxy(report)
	c.warnTLS(report)
}

// warnOverload reports marks that lie above what stops the node by itself.
func warnOverload(d *Config, report func(key, text string)) {
	if d.Overload.Queue > d.Engine.MaxNodeQueueBytes {
		report("overload.queue", "is above engine.max_node_queue_bytes, at which the longest queues are closed at once, so it is hardly ever reached")
	}
	if m := d.Memory.Limit; m > 0 && d.Overload.Memory > m {
		report("overload.memory", "is above memory.limit, near which the node does little but collect garbage")
	}
}

// warnProxy reports proxies that nobody is believed to be, or everybody.
func (c *Config) warnProxy(report func(key, text string)) {
	unix := func(text string) bool { return strings.HasPrefix(text, "unix:") }
	local := slices.ContainsFunc(c.Listen, unix) || slices.ContainsFunc(c.TLS.Listen, unix)
	if c.Proxy.Header != "" && len(c.Proxy.Trusted) == 0 && !local {
		report("proxy.header", "is believed of nobody, because proxy.trusted is empty; name the ranges of your proxies there")
	}
	for i, p := range c.Proxy.Trusted {
		if p.IsValid() && p.Bits() == 0 {
			report(fmt.Sprintf("proxy.trusted[%d]", i), "takes in everybody, so any client can claim any address and is under no limits; name the ranges of your proxies only")
		}
	}
}

// warnTLS reports what is about TLS, or about certificates of clients, where
// nobody speaks it or shows one.
func (c *Config) warnTLS(report func(key, text string)) {
	if t := c.TLS; len(t.Listen) == 0 && (len(t.Certificates)+len(t.ACME.Domains) > 0 || t.HSTS > 0 || t.ClientCA != "") {
		report("tls.listen", "is empty, so nobody can speak TLS with this node, and the rest of tls does nothing")
	}
	if len(c.TLS.Listen) > 0 && c.TLS.WithDefaults().ClientAuth != "none" {
		return
	}
	unused := func(key string, cert auth.ClientCert) {
		switch {
		case cert.Required:
			report(key+".client_cert.required", "lets nobody in, because no client is asked for a certificate; set tls.listen and tls.client_auth")
		case cert.User != "":
			report(key+".client_cert.user", "is of no use, because no client is asked for a certificate; set tls.listen and tls.client_auth")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Hub.Hubs)) {
		unused("hub.hubs."+name, c.Hub.Hubs[name].ClientCert)
	}
}

// warnOps reports what everybody sees who reaches an operations listener that is
// not for this machine alone.
func warnOps(d *Config, report func(key, text string)) {
	if d.OpsLogin.Enabled() {
		if d.OpsLogin.MetricsToken == "" {
			report("ops_login.metrics_token", fmt.Sprintf("without it, /metrics shows the names of hubs to everybody who reaches %s", d.Ops))
		}
		return
	}
	if d.OpsPprof {
		report("ops_pprof", fmt.Sprintf("shows what is in memory, secrets too, to everybody who reaches %s", d.Ops))
	}
	report("ops", fmt.Sprintf("%q is reachable from other machines and asks for no credentials; make sure that a firewall keeps it off the internet, or set ops_login", d.Ops))
}

func (c *Config) warnEngine(report func(key, text string)) {
	e := c.Engine.WithDefaults()
	if h := e.HeartbeatInterval; h > longestHeartbeat {
		report("engine.heartbeat_interval", fmt.Sprintf("%v is longer than the idle timeout of common load balancers (60s), which then cut quiet connections", h))
	}
	if e.MaxMessageSize > e.MaxQueueBytes {
		report("engine.max_message_size", "is above max_queue_bytes, so a message of that size ends every connection that has anything else to send")
	}
	if e.MaxQueueBytes > e.MaxNodeQueueBytes {
		report("engine.max_queue_bytes", "is above max_node_queue_bytes, so one connection could use up the budget of all")
	}
}
