package bench

import (
	"context"
	"flag"
	"io"
)

// Scenario is one kind of load. The zero value has no defaults: Flags sets them.
type Scenario interface {
	// Flags declares the flags, with their defaults, of this scenario alone.
	Flags(fs *flag.FlagSet)

	// Validate returns the first problem of the values, naming its flag.
	Validate() error

	// Run puts the load on the server and fills in the report. An error means
	// that there is no result; a bad result is no error.
	Run(ctx context.Context, rig *Rig) error
}

// Entry is a scenario in the list of them.
type Entry struct {
	Name    string
	Help    string // one line
	Example string // arguments to copy
	New     func() Scenario
}

// Scenarios lists all of them.
func Scenarios() []Entry {
	return []Entry{
		{"idle", "open connections and hold them: memory for each, and who survives",
			"--key KEY --server-pid PID --connections 15000 --rounds 3", func() Scenario { return new(Idle) }},
		{"echo", "send and wait for the answer: messages per second, latency, processor time",
			"--url ws://127.0.0.1:8080/echo --server-pid PID --connections 100 --depth 16", func() Scenario { return new(Echo) }},
		{"fanout", "publish to groups: latency, order and losses, processor time of a delivery",
			"--key KEY --server-pid PID --subscribers 10000 --under-way 8", func() Scenario { return new(Fanout) }},
		{"members", "join and leave groups: requests per second, latency, processor time",
			"--key KEY --server-pid PID --connections 100 --groups 1000", func() Scenario { return new(Members) }},
		{"reliable", "cut the connections of reliable sessions at random: what is lost or comes twice",
			"--key KEY --server-pid PID --connections 1000 --cuts 100", func() Scenario { return new(Reliable) }},
		{"push", "publish by the HTTP API: requests per second, latency, processor time",
			"--key KEY --server-pid PID --connections 10, to a node with api.public", func() Scenario { return new(Push) }},
		{"storm", "connect, shake hands, close, again: processor time of a handshake",
			"--key KEY --server-pid PID --duration 10s", func() Scenario { return new(Storm) }},
		{"rush", "very many clients come at once while others are served: when the last is in, and who notices",
			"--key KEY --server-pid PID --returning 10000", func() Scenario { return new(Rush) }},
		{"soak", "connections that come, go, publish and stall at random: what stays behind",
			"--key KEY --server-pid PID --ops 127.0.0.1:8081 --duration 30m", func() Scenario { return new(Soak) }},
	}
}

// Run runs a scenario against the server that common describes.
func Run(ctx context.Context, name string, s Scenario, common Common, progress io.Writer) (*Report, error) {
	rig, err := newRig(name, common, progress)
	if err != nil {
		return nil, err
	}
	defer rig.stop()
	if err := s.Run(ctx, rig); err != nil {
		return nil, err
	}
	rig.conclude()
	return rig.Report, nil
}
