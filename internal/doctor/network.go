package doctor

import "fmt"

const (
	// burst is the part of the clients that is taken to connect within one
	// moment after a restart, before the loops have accepted the first: one in
	// 25. Fewer places, and the kernel lets the others try again seconds later.
	burst = 25

	// leastBacklog and mostBacklog are sane ends for it: what the kernel had
	// for decades, and what more does not help beyond.
	leastBacklog = 128
	mostBacklog  = 65535
)

func places(n int64) int64 { return min(max(n/burst, leastBacklog), mostBacklog) }

// backlog is where clients wait that the kernel has connected and the node has
// not accepted yet. Go asks for as much as somaxconn allows.
func (m Machine) backlog(n int64) (Finding, bool) {
	v, known := m.number("proc/sys/net/core/somaxconn", 0)
	return atLeast("clients waiting to be accepted (net.core.somaxconn)", v, known, places(n), count,
		setting("net.core.somaxconn", places(n))+"; Docker: --sysctl net.core.somaxconn="+count(places(n))), true
}

// synBacklog is where clients wait in the middle of TCP's own handshake. With
// SYN cookies, the default, those beyond it are served all the same.
func (m Machine) synBacklog(n int64) (Finding, bool) {
	v, known := m.number("proc/sys/net/ipv4/tcp_max_syn_backlog", 0)
	f := atLeast("half-open connections (net.ipv4.tcp_max_syn_backlog)", v, known, places(n), count,
		setting("net.ipv4.tcp_max_syn_backlog", places(n)))
	if cookies, ok := m.number("proc/sys/net/ipv4/tcp_syncookies", 0); ok && cookies > 0 && f.Verdict == TooLow {
		f.Verdict = Note
		f.Raise = "SYN cookies take over beyond it; to do without them: " + f.Raise
	}
	return f, true
}

// conntrack is the firewall's table of connections, where there is one. A full
// one drops packets of new connections without a word to anybody.
func (m Machine) conntrack(n int64) (Finding, bool) {
	v, ok := m.number("proc/sys/net/netfilter/nf_conntrack_max", 0)
	used, _ := m.number("proc/sys/net/netfilter/nf_conntrack_count", 0)
	need := n + n/4 + used // a quarter for those that are gone but not yet forgotten
	return atLeast("connections the firewall tracks (net.netfilter.nf_conntrack_max)", v, ok, need, count,
		setting("net.netfilter.nf_conntrack_max", need)+"; or do not track the client ports (notrack)"), ok
}

// ports bounds what connects from here: a proxy on this machine, or a load
// generator. Accepted connections use none.
func (m Machine) ports(n int64) (Finding, bool) {
	const file = "proc/sys/net/ipv4/ip_local_port_range"
	low, _ := m.number(file, 0)
	high, ok := m.number(file, 1)
	ports := high - low + 1
	known := ok && low > 0 && ports > 0
	f := atLeast("local ports of one address (net.ipv4.ip_local_port_range)", ports, known, n, count, "")
	if f.Verdict == TooLow {
		f.Verdict = Note
		f.Raise = fmt.Sprintf("only for what connects from here, such as a proxy or sluice bench: use %d source addresses or listeners, or %s",
			(n+ports-1)/ports, `sysctl -w net.ipv4.ip_local_port_range="1024 65535"`)
	}
	return f, true
}
