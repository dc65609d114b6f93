// Package logs writes the log of a node: one line for each event, as text or
// JSON, to a writer that may be slow.
//
// It owns the format and the way out. It does not know what is worth a line, nor
// how many of a kind there may be: that is for who logs. A line is formatted on
// the goroutine that logs it and written by a goroutine of the log's own, so
// that a full pipe or disk never holds an event loop.
package logs

import (
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// maxPending is how many bytes of lines may wait for the writer; a line more is
// dropped and counted. A line about a connection has some 300 bytes.
const maxPending = 1 << 20

// closePatience is how long Close waits for the writer.
const closePatience = 2 * time.Second

// Log is a logger that does not block. Its methods may be called from any
// goroutine.
type Log struct {
	*slog.Logger
	out *outbox
}

// Open starts a log that writes to w. The configuration must be valid. The
// caller closes it.
func Open(cfg Config, w io.Writer) *Log {
	cfg = cfg.WithDefaults()
	out := newOutbox(w)
	options := &slog.HandlerOptions{Level: cfg.level()}
	var h slog.Handler = slog.NewTextHandler(out, options)
	if cfg.Format == "json" {
		h = slog.NewJSONHandler(out, options)
	}
	return &Log{Logger: slog.New(h), out: out}
}

// Dropped returns how many lines were lost because the writer was too slow.
func (l *Log) Dropped() uint64 { return l.out.dropped.Load() }

// Close writes what waits and ends the log. It waits for the writer, but not
// for one that hangs: a process must be able to end. What is logged afterwards
// is lost.
func (l *Log) Close() { l.out.close() }

// outbox takes whole lines without blocking and writes them, joined, from one
// goroutine.
type outbox struct {
	w       io.Writer
	dropped atomic.Uint64
	wake    chan struct{} // one element: there is something to do
	done    chan struct{}

	mu      sync.Mutex
	pending []byte // guarded by mu
	closed  bool   // guarded by mu
}

func newOutbox(w io.Writer) *outbox {
	o := &outbox{w: w, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go o.run()
	return o
}

// Write takes one line, whole or not at all. It never fails: slog has nobody to
// tell.
func (o *outbox) Write(line []byte) (int, error) {
	o.mu.Lock()
	fits := !o.closed && len(o.pending)+len(line) <= maxPending
	if fits {
		o.pending = append(o.pending, line...)
	}
	o.mu.Unlock()
	if !fits {
		o.dropped.Add(1)
		return len(line), nil
	}
	o.ring()
	return len(line), nil
}

func (o *outbox) ring() {
	select {
	case o.wake <- struct{}{}:
	default: // it will look anyway
	}
}

func (o *outbox) run() {
	defer close(o.done)
	var lines []byte
	for {
		<-o.wake
		o.mu.Lock()
		lines, o.pending = o.pending, lines[:0]
		closed := o.closed
		o.mu.Unlock()
		if len(lines) > 0 {
			_, _ = o.w.Write(lines) // there is no other place to complain
		}
		if closed {
			return
		}
	}
}

func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.ring()
	select {
	case <-o.done:
	case <-time.After(closePatience):
	}
}
