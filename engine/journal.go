package engine

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"sluice/auth"
	"sluice/frame"
	"sluice/internal/metrics"
)

// lineKind is a kind of log line that clients can cause. Each has a budget, so
// that a storm of one does not hide the others.
type lineKind uint8

const (
	lineOpened lineKind = iota
	lineClosed
	lineRefused
	linePanic

	lineKinds
)

var lineNames = [lineKinds]string{"opened", "closed", "refused", "panic"}

// journal decides which lines about connections are written. Any goroutine may
// ask it.
type journal struct {
	log       *slog.Logger
	metrics   *metrics.Node
	perSecond int64 // of each kind

	left, suppressed [lineKinds]atomic.Int64
}

func newJournal(log *slog.Logger, m *metrics.Node, perSecond int) *journal {
	j := &journal{log: log, metrics: m, perSecond: int64(perSecond)}
	j.refill()
	return j
}

// allow tells whether one line more of the kind may be written, and counts it
// if not.
func (j *journal) allow(k lineKind, level slog.Level) bool {
	if !j.log.Enabled(context.Background(), level) {
		return false
	}
	if j.left[k].Add(-1) >= 0 {
		return true
	}
	j.suppressed[k].Add(1)
	return false
}

// refill begins a new second and tells what the last one has left out. Called
// by the engine's clock.
func (j *journal) refill() {
	for k := range lineKinds {
		j.left[k].Store(j.perSecond)
		if n := j.suppressed[k].Swap(0); n > 0 {
			j.metrics.LogLinesSuppressed.AddInt64(n)
			j.log.Warn("too many lines of one kind: the rest of this second is left out",
				"kind", lineNames[k], "suppressed", n)
		}
	}
}

// logOpened writes the line of a connection that has come in.
func (c *Conn) logOpened(r *http.Request, subprotocol string) {
	l := c.loop
	if !l.engine.journal.allow(lineOpened, slog.LevelInfo) {
		return
	}
	attrs := append(l.attrs[:0],
		remote(c.RemoteAddr()),
		slog.String("request", requestID(r.Header)),
		slog.String("subprotocol", subprotocol),
		slog.Bool("compression", c.reader.Deflate() != nil))
	c.logLine(slog.LevelInfo, "connection opened", attrs)
}

// logClosed writes the one line of a connection that has ended.
func (c *Conn) logClosed(addr net.Addr) {
	l := c.loop
	if !l.engine.journal.allow(lineClosed, slog.LevelInfo) {
		return
	}
	age := time.Duration(uint32(l.now)-c.since) * l.engine.cfg.tick
	code := c.code
	if code == 0 {
		code = frame.CloseAbnormal // no close frame, from neither side
	}
	attrs := append(l.attrs[:0],
		slog.String("cause", c.cause.String()),
		slog.String("initiator", c.cause.Initiator()),
		slog.Int("code", int(code)),
		slog.Float64("age_seconds", age.Seconds()),
		slog.Int64("bytes_in", c.input.bytes()),
		slog.Int64("bytes_out", c.output.bytes()),
		slog.Int64("messages_in", c.input.messages()),
		slog.Int64("messages_out", c.output.messages()),
		remote(addr))
	c.logLine(slog.LevelInfo, "connection closed", attrs)
}

// logLine writes a line with what the endpoint has to add.
func (c *Conn) logLine(level slog.Level, message string, attrs []slog.Attr) {
	if d, ok := c.endpoint.(Describer); ok {
		attrs = d.Describe(attrs)
	}
	c.loop.log.LogAttrs(context.Background(), level, message, attrs...)
	clear(attrs) // the scratch keeps no strings alive
	c.loop.attrs = attrs[:0]
}

// logRefused writes the line of a client that was not let in. The request is nil
// when there was none that could be read, the address when it is not known any
// more. Any goroutine.
func (l *Loop) logRefused(refusal *Refusal, addr net.Addr, r *http.Request) {
	if !l.engine.journal.allow(lineRefused, slog.LevelInfo) {
		return
	}
	attrs := []slog.Attr{
		slog.String("reason", refusal.Label),
		slog.Int("status", refusal.Status),
		slog.String("detail", refusal.Reason),
	}
	if r == nil || r.RemoteAddr == "" {
		attrs = append(attrs, remote(addr))
	}
	if r != nil {
		if r.RemoteAddr != "" {
			attrs = append(attrs, slog.String("remote", r.RemoteAddr))
		}
		attrs = append(attrs,
			slog.String("request", requestID(r.Header)),
			slog.String("uri", cut(auth.Redact(r.RequestURI), maxLoggedURI)))
	}
	l.log.LogAttrs(context.Background(), slog.LevelInfo, "handshake refused", attrs...)
}

// logVanished writes the line of a client that left before it was answered:
// probes of load balancers do so all day.
func (c *Conn) logVanished(addr net.Addr) {
	if c.loop.engine.journal.allow(lineRefused, slog.LevelDebug) {
		c.loop.log.Debug("handshake not finished", "reason", c.cause.String(), remote(addr))
	}
}

// logPanic writes the line of a bug that has cost one client.
func (e *Engine) logPanic(log *slog.Logger, where string, r any, stack []byte) {
	if e.journal.allow(linePanic, slog.LevelError) {
		log.Error("panic "+where+"; this is a bug in Sluice, please report it",
			"panic", fmt.Sprint(r), "stack", string(stack))
	}
}

const (
	maxLoggedURI = 512
	maxRequestID = 128
)

// requestID returns what a proxy calls the request, if that is fit for a log,
// or a name that is made up.
func requestID(h http.Header) string {
	if id := h.Get("X-Request-Id"); saneID(id) {
		return id
	}
	return fmt.Sprintf("%016x", rand.Uint64())
}

func saneID(id string) bool {
	for _, b := range []byte(id) {
		if b <= ' ' || b > '~' || b == '"' || b == '\\' {
			return false
		}
	}
	return id != "" && len(id) <= maxRequestID
}

func cut(s string, most int) string {
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

func remote(a net.Addr) slog.Attr { return slog.String("remote", remoteName(a)) }

// remoteName returns the text of an address, which may be nil.
func remoteName(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}
