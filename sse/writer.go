package sse

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"time"

	"sluice/frame"
	"sluice/hub"
	"sluice/hub/wire"
	"sluice/internal/outbox"
)

// writer is the answer to one request. It belongs to the goroutine of the request.
type writer struct {
	server   *Server
	w        http.ResponseWriter
	control  *http.ResponseController
	position *position
	cut      bool // the past was not told to its end, so nothing that comes after it may be
	owed     int  // bytes of the past that are yet to be told, counted in Server.owed
	buf      []byte
}

// flushAt is how many bytes of events are written at once, about.
const flushAt = 32 << 10

// overhead is what a message of the past costs beside its data, about.
const overhead = 200

func size(m *hub.HistoryMessage) int { return overhead + len(m.Data) }

func newWriter(s *Server, w http.ResponseWriter) *writer {
	return &writer{server: s, w: w, control: http.NewResponseController(w)}
}

// remember takes the past that is yet to be told, and counts it: it is that of the
// group for as long as the group keeps it, and after that only this stream's. False
// means that there is no room for it.
func (o *writer) remember(past []hub.Recollection) bool {
	o.position = newPosition(past)
	for i := range past {
		for j := range past[i].Messages {
			o.owed += size(&past[i].Messages[j])
		}
	}
	return !o.server.owed.Add(o.owed) || o.owed == 0
}

// told counts so many bytes of it no more.
func (o *writer) told(n int) {
	o.owed -= n
	o.server.owed.Add(-n)
}

// forget counts nothing of it any more.
func (o *writer) forget() { o.told(o.owed) }

// run writes the stream until it is over, or the client gone.
func (o *writer) run(ctx context.Context, n *stream, first *opened) {
	o.begin()
	if !o.first(n, first) {
		return
	}
	heartbeat := time.NewTimer(o.server.cfg.HeartbeatInterval)
	defer heartbeat.Stop()
	for o.live(n) {
		heartbeat.Reset(o.server.cfg.HeartbeatInterval)
		select {
		case <-n.Wake():
		case <-heartbeat.C:
			o.buf = appendHeartbeat(o.buf)
		case <-ctx.Done():
			return
		case <-o.server.stopped:
			return
		}
	}
}

// live writes what has come since the last time; false means that it was the last
// time.
func (o *writer) live(n *stream) bool {
	queue, end := n.Take()
	if o.cut {
		queue = nil
	}
	for _, m := range queue {
		payload := m.Payload()
		if group, offset, ok := wire.JSONPlace(payload); ok && o.position.advance(group, offset) {
			o.identify()
		}
		if !o.event(payload) {
			return false
		}
	}
	if end.Code != 0 {
		o.buf = appendClose(o.buf, end, time.Duration(n.retry.Load()))
	}
	return o.flush() && end.Code == 0
}

// begin begins the answer. The time limits of the server are for usual requests;
// this one lasts.
func (o *writer) begin() {
	_ = o.control.SetReadDeadline(time.Time{}) // a recorder in a test has none
	h := o.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store, no-transform") // a proxy that compresses would keep it
	h.Set("X-Accel-Buffering", "no")                 // nginx would keep it
	h.Set("Connection", "close")
	retry := o.server.cfg.Retry
	o.buf = appendRetry(o.buf, retry+rand.N(retry))
}

// first writes what comes first: `connected`, and the past of the groups, for as
// long as the client may hear it. That may take long.
func (o *writer) first(n *stream, first *opened) bool {
	for _, m := range first.hello {
		o.identify()
		o.event(m.Payload())
	}
	var scratch []byte
	for i := range first.past {
		p := &first.past[i]
		scratch = wire.JSONv1{}.AppendHistory(scratch[:0], &wire.HistoryInfo{Group: p.Group, Epoch: p.Epoch, Offset: p.Offset, Complete: p.Complete})
		o.identify()
		o.event(scratch)
		for j := range p.Messages {
			if mayNot(n.Ended()) {
				o.cut = true
				return o.flush()
			}
			m := &p.Messages[j]
			scratch = wire.JSONv1{}.Offsets().AppendMessage(scratch[:0], &m.Message)
			o.position.advance(p.Group, m.Offset)
			o.identify()
			if !o.event(scratch) {
				return false
			}
			o.told(size(m))
		}
		p.Messages = nil // the collector's from now on
	}
	return o.flush()
}

// mayNot tells whether the client of a stream that has ended so may hear nothing
// more: its token is no longer good. (Or it was too slow, and can come back.)
func mayNot(end outbox.Close) bool {
	return end.Code == frame.CloseTokenExpired || end.Code == frame.ClosePolicyViolation
}

// identify gives the next event the id of the present position, if there is one.
func (o *writer) identify() {
	if len(o.position.places) > 0 {
		o.buf = append(o.position.appendID(append(o.buf, "id: "...)), '\n')
	}
}

// event writes one event; false means that the client has gone.
func (o *writer) event(json []byte) bool {
	o.buf = appendData(appendField(o.buf, "event", eventMessage), json)
	return len(o.buf) < flushAt || o.flush()
}

// flush sends what is written; false means that the client has gone.
func (o *writer) flush() bool {
	if len(o.buf) == 0 {
		return true
	}
	_ = o.control.SetWriteDeadline(time.Now().Add(o.server.writeTimeout))
	_, err := o.w.Write(o.buf)
	if err == nil {
		err = o.control.Flush()
	}
	if o.buf = o.buf[:0]; cap(o.buf) > 2*flushAt {
		o.buf = nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		o.server.options.Dropped(outbox.SlowConsumer)
	}
	return err == nil
}
