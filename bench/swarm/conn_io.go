package swarm

import (
	"bytes"
	"errors"
	"time"

	"sluice/frame"
)

func since(t int64) time.Duration { return time.Duration(Now() - t) }

// key masks everything. A constant is enough: masking protects proxies from
// web pages, and nobody else writes what we send (RFC 6455 10.3).
var key = [4]byte{0x5a, 0x3c, 0x96, 0xe1}

// AppendFrame appends a masked frame, for Conn.Send.
func AppendFrame(dst []byte, op frame.Opcode, payload []byte) []byte {
	return frame.AppendMaskedFrame(dst, op, payload, key)
}

// scratchFrame queues a frame that is used once.
func (l *Loop) scratchFrame(c *Conn, op frame.Opcode, payload []byte) {
	b := AppendFrame(l.buffer(), op, payload)
	c.queue(b)
	l.release(b)
}

// writable goes on after the socket was full, or not connected yet.
func (c *Conn) writable() {
	if c.state != connecting {
		if c.wantWrite {
			c.flush()
		}
		return
	}
	if err := connectResult(c.fd); err != nil {
		c.finish(failure("connect", err), false)
		return
	}
	if cfg := c.loop.swarm.cfg.TLS; cfg != nil {
		c.shake(cfg)
	} else {
		c.request()
	}
	if c.state != ended {
		c.watch()
	}
}

// request asks for a WebSocket, if there is one to be asked for.
func (c *Conn) request() {
	c.state = upgrading
	if c.plan.Request == nil {
		c.startTalking()
	} else {
		c.queue(c.plan.Request)
	}
}

// startTalking makes the connection open.
func (c *Conn) startTalking() {
	c.state = opened
	c.plan.Role.Open(c)
	if !c.plan.Hold {
		c.Ready()
	}
}

// watch tells the poller what to look for.
func (c *Conn) watch() {
	if err := c.loop.poller.watch(c.fd, !c.paused, c.wantWrite); err != nil {
		c.finish(failure("epoll", err), false)
	}
}

// flush writes what is queued.
func (c *Conn) flush() {
	c.queued = false
	if c.tls != nil && c.tls.done && c.state != ended {
		c.seal()
	}
	if c.state == ended || c.out == nil {
		return
	}
	n, err := write(c.fd, c.out)
	if err != nil {
		c.lost(failure("write", err))
		return
	}
	if n < len(c.out) {
		c.out = c.out[:copy(c.out, c.out[n:])]
		if !c.wantWrite {
			c.wantWrite = true
			c.watch()
		}
		return
	}
	c.loop.release(c.out)
	c.out = nil
	if c.wantWrite {
		c.wantWrite = false
		c.watch()
	}
}

// readable reads once; the poller reports again what is left.
func (c *Conn) readable() {
	n, err := read(c.fd, c.loop.scratch)
	switch {
	case err != nil:
		c.lost(failure("read", err))
	case n < 0:
		c.lost(End{Reason: "end of stream " + c.state.String()})
	case n > 0 && c.tls != nil:
		c.decrypt(c.loop.scratch[:n])
	case n > 0:
		c.feed(c.loop.scratch[:n])
	}
}

func (c *Conn) feed(p []byte) {
	if c.state == upgrading {
		if p = c.upgrade(p); p == nil {
			return
		}
	}
	if c.plan.Stream {
		if len(p) > 0 {
			c.plan.Role.Message(c, frame.OpBinary, p)
		}
		return
	}
	for c.state != ended {
		ev, n, err := c.reader.Next(c.loop.codec, p)
		if err != nil {
			c.finish(End{Reason: "protocol error of the server", Err: err}, true)
			return
		}
		if ev.Kind == frame.KindNone {
			return
		}
		p = p[n:]
		c.event(ev)
	}
}

func (c *Conn) event(ev frame.Event) {
	switch ev.Kind {
	case frame.KindMessage:
		if c.state == opened { // what comes after our close frame is nobody's business
			c.plan.Role.Message(c, ev.Op, ev.Payload)
		}
	case frame.KindPing:
		if c.state == opened {
			c.pings++
			c.loop.counts.Pings++
			c.loop.scratchFrame(c, frame.OpPong, ev.Payload)
		}
	case frame.KindClose:
		c.end.Code = ev.Code
		if c.state == opened {
			c.end.Reason = closeReason(ev.Code)
			c.goodbye(ev.Code)
		}
	}
}

// upgrade reads the answer to the opening handshake. It returns what follows
// it, nil while there is nothing to go on with.
func (c *Conn) upgrade(p []byte) []byte {
	if c.head != nil {
		p = append(c.head, p...)
	}
	end := bytes.Index(p, []byte("\r\n\r\n"))
	if end < 0 {
		if len(p) > maxHead {
			c.finish(End{Reason: "handshake: endless answer", Err: errHandshake}, true)
			return nil
		}
		c.head = append([]byte(nil), p...)
		return nil
	}
	c.head = nil
	if reason := checkAnswer(p[:end]); reason != "" {
		c.finish(End{Reason: "handshake: " + reason, Err: errHandshake}, false)
		return nil
	}
	c.startTalking()
	return p[end+4:]
}

var errHandshake = errors.New("the opening handshake failed")
