package doctor

import (
	"fmt"
	"path"
	"strconv"
)

// What a connection costs while it is idle, in bytes. Measured; TLS in a proxy
// in front, as long as Sluice has none of its own.
const (
	processBytes = 1536 // resident memory of the process
	kernelBytes  = 5000 // socket, file and poller entry in the kernel

	// baseBytes is a node without connections.
	baseBytes = 64 << 20
)

func needed(n int64) int64 { return baseBytes + n*(processBytes+kernelBytes) }

func size(n int64) string {
	const mib, gib = 1 << 20, 1 << 30
	if n >= 10*gib {
		return strconv.FormatInt(n/gib, 10) + " GiB"
	}
	return strconv.FormatInt((n+mib-1)/mib, 10) + " MiB"
}

// memory is for idle connections; what waits in queues comes on top.
func (m Machine) memory(n int64) (Finding, bool) {
	fields, known := m.line("proc/meminfo", "MemAvailable:"), false
	var kib int64
	if len(fields) > 0 {
		kib, known = parse(fields[0])
	}
	return atLeast("memory available, without queues", kib<<10, known, needed(n), size,
		fmt.Sprintf("more memory, or fewer connections; one takes %d bytes of the process and %d of the kernel while it is idle", processBytes, kernelBytes)), true
}

// memoryLimit counts the kernel's part too: that of sockets is charged to the
// group.
func (m Machine) memoryLimit(n int64) (Finding, bool) {
	v, dir, ok := m.limit("memory", "memory.max", "memory.limit_in_bytes")
	return atLeast("memory limit of the control group", v, ok, needed(n), size,
		fmt.Sprintf("systemd: MemoryMax=%dM; Docker: --memory %dm; the limit is that of /%s", needed(n)>>20+1, needed(n)>>20+1, dir)), ok
}

// socketMemory: near it TCP drops data and shrinks windows, on every connection.
// One page for each is what a message to all of them at once needs, and idle
// ones need none.
func (m Machine) socketMemory(n int64) (Finding, bool) {
	const file = "proc/sys/net/ipv4/tcp_mem"
	v, known := m.number(file, 2)
	page := int64(m.PageSize)
	f := atLeast("memory of all TCP buffers (net.ipv4.tcp_mem)", v*page, known, n*page, size,
		fmt.Sprintf(`only for a message to all at once: sysctl -w net.ipv4.tcp_mem="%d %d %d"`, n/2, n*3/4, n))
	if f.Verdict == TooLow {
		f.Verdict = Note
	}
	return f, true
}

// threads is what a node needs of them, whatever the number of connections.
const threads = 64

// tasks: the number of goroutines and threads does not grow with the
// connections, but a small limit keeps a node from starting.
func (m Machine) tasks(int64) (Finding, bool) {
	v, dir, ok := m.limit("pids", "pids.max", "pids.max")
	used, _ := m.number(path.Join(dir, "pids.current"), 0)
	return atLeast("tasks left in the control group", v-used, ok, threads, count,
		fmt.Sprintf("systemd: TasksMax=%d; Docker: --pids-limit %d; the limit is that of /%s", used+threads, used+threads, dir)), ok
}
