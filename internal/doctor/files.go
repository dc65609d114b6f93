package doctor

import (
	"fmt"
	"strconv"
)

// besides is the number of descriptors beside those of the connections: the
// handshakes under way (engine.max_pending_handshakes) and the engine's reserve
// for listeners, pollers and logs.
const besides = 1024 + 128

func count(n int64) string {
	if n == unlimited {
		return "unlimited"
	}
	return strconv.FormatInt(n, 10)
}

// openFiles: every connection is an open file of the process. The soft limit
// does not count, because Go raises it to the hard one when a program starts.
func (m Machine) openFiles(n int64) (Finding, bool) {
	var hard int64
	fields, known := m.line("proc/self/limits", "Max open files"), false
	if len(fields) >= 2 {
		hard, known = parse(fields[1])
	}
	need := n + besides
	return atLeast("open files of a process (hard limit)", hard, known, need, count,
		fmt.Sprintf("systemd: LimitNOFILE=%d in the unit; Docker: --ulimit nofile=%d:%d; a shell, as root: ulimit -n %d", need, need, need, need)), true
}

// filesPerProcess is the ceiling of the limit above.
func (m Machine) filesPerProcess(n int64) (Finding, bool) {
	v, known := m.number("proc/sys/fs/nr_open", 0)
	return atLeast("highest limit on open files (fs.nr_open)", v, known, n+besides, count, setting("fs.nr_open", n+besides)), true
}

// filesOfMachine leaves to the other processes what they have open now.
func (m Machine) filesOfMachine(n int64) (Finding, bool) {
	v, known := m.number("proc/sys/fs/file-max", 0)
	used, _ := m.number("proc/sys/fs/file-nr", 0)
	need := n + besides + used
	return atLeast("open files of the machine (fs.file-max)", v, known, need, count, setting("fs.file-max", need)), true
}

// epollWatches: every connection is watched by the poller of its loop.
func (m Machine) epollWatches(n int64) (Finding, bool) {
	v, ok := m.number("proc/sys/fs/epoll/max_user_watches", 0)
	return atLeast("watched files of a user (fs.epoll.max_user_watches)", v, ok, n+besides, count,
		setting("fs.epoll.max_user_watches", n+besides)), ok
}
