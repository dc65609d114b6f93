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
