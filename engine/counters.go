package engine

// counters is what a loop counts on its hot paths: plain numbers, moved into
// the metrics of the node once per tick.
type counters struct {
	messagesReceived, messagesSent uint64
	bytesReceived, bytesSent       uint64
}

func (l *Loop) foldCounters() {
	m := l.engine.metrics
	m.MessagesReceived.Add(int(l.seen.messagesReceived))
	m.MessagesSent.Add(int(l.seen.messagesSent))
	m.ReceivedBytes.Add(int(l.seen.bytesReceived))
	m.SentBytes.Add(int(l.seen.bytesSent))
	l.seen = counters{}
}

// countReceived counts for the node and for the connection.
func (c *Conn) countReceived(messages, bytes int) {
	c.loop.seen.messagesReceived += uint64(messages)
	c.loop.seen.bytesReceived += uint64(bytes)
	c.input.add(messages, bytes)
}

// countSent counts what is queued, for the node and for the connection.
func (c *Conn) countSent(messages, bytes int) {
	c.loop.seen.messagesSent += uint64(messages)
	c.loop.seen.bytesSent += uint64(bytes)
	c.output.add(messages, bytes)
}

// traffic is what one connection has received, or sent, for its line in the
// log:
//
//	 63          36 35             0
//	+--------------+----------------+
//	|   messages   |     bytes      |
//	+--------------+----------------+
//
// One word and not two, because there are very many connections. Above 64 GiB
// or 268 million messages on one connection the line is wrong; the metrics of
// the node are not.
type traffic uint64

const trafficBytes = 36 // bits

func (t *traffic) add(messages, bytes int) {
	*t += traffic(messages)<<trafficBytes + traffic(bytes)
}

func (t traffic) messages() int64 { return int64(t >> trafficBytes) }
func (t traffic) bytes() int64    { return int64(t & (1<<trafficBytes - 1)) }
