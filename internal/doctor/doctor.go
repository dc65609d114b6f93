// Package doctor says what on a Linux machine would stop a number of
// connections from being held, and how to raise it. It only reads, from /proc
// and /sys; it changes nothing and opens no connection. Its functions may be
// called from any goroutine.
package doctor

import (
	"io/fs"
	"strconv"
)

// Machine is where the doctor looks.
type Machine struct {
	// Root is the root of the file system.
	Root fs.FS
	// PageSize is the size of a page of memory in bytes.
	PageSize int
	// Procs is the number of threads that run Go code at once (GOMAXPROCS).
	Procs int
}

// Verdict is what a finding means.
type Verdict uint8

// The verdicts.
const (
	OK      Verdict = iota
	Note            // worth knowing; stops nobody
	TooLow          // fewer connections than asked for will be held
	Unknown         // the machine does not tell
)

func (v Verdict) String() string {
	switch v {
	case Note:
		return "note"
	case TooLow:
		return "TOO LOW"
	case Unknown:
		return "unknown"
	}
	return "ok"
}

// Finding is one thing the doctor looked at.
type Finding struct {
	Check  string
	Value  string // what there is
	Needed string // what the connections need
	Verdict
	Raise string // how to raise it, or what the note is; "" when there is nothing to do
}

// Examine looks at everything that bounds the number of connections. What does
// not exist on the machine, such as a limit that is not set, is left out.
func (m Machine) Examine(connections int) []Finding {
	n := int64(connections)
	var all []Finding
	for _, check := range []func(Machine, int64) (Finding, bool){
		Machine.openFiles,
		Machine.filesPerProcess,
		Machine.filesOfMachine,
		Machine.epollWatches,
		Machine.backlog,
		Machine.synBacklog,
		Machine.conntrack,
		Machine.ports,
		Machine.memory,
		Machine.memoryLimit,
		Machine.socketMemory,
		Machine.tasks,
		Machine.processors,
	} {
		if f, ok := check(m, n); ok {
			all = append(all, f)
		}
	}
	return all
}

// atLeast is the finding that a value must not be below what is needed. raise
// is for when it is.
func atLeast(check string, value int64, known bool, needed int64, format func(int64) string, raise string) Finding {
	f := Finding{Check: check, Value: format(value), Needed: format(needed)}
	switch {
	case !known:
		f.Value, f.Verdict = "?", Unknown
	case value < needed:
		f.Verdict, f.Raise = TooLow, raise
	}
	return f
}

// setting is how a kernel parameter is raised.
func setting(name string, value int64) string {
	return "sysctl -w " + name + "=" + strconv.FormatInt(value, 10)
}
