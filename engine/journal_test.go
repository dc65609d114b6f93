package engine

import (
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/frame"
	"sluice/internal/testkit"
)

// named is an endpoint that says who it is.
type named struct{ *endpoint }

func (named) Describe(attrs []slog.Attr) []slog.Attr {
	return append(attrs, slog.String("hub", "chat"))
}

// TestConnectionLines: what an operator reads about one client's visit.
func TestConnectionLines(t *testing.T) {
	n := start(t, Config{}, handlerFunc(func(c *Conn, r *http.Request) (Acceptance, *Refusal) {
		if r.URL.Path != "/" {
			return Acceptance{}, &Refusal{Status: 401, Label: "token_missing", Reason: "there is no token"}
		}
		return Acceptance{Open: func(c *Conn) (Endpoint, error) {
			return named{&endpoint{message: func(op frame.Opcode, p []byte) { c.Write(op, p) }}}, nil
		}}, nil
	}))
	c := n.openAt("/", "X-Request-Id: abc-123")
	me := "remote=" + c.LocalAddr().String()
	n.connection("connection opened", me, "request=abc-123", "hub=chat")
	c.WriteText("hello")
	c.ExpectText("hello")
	c.WriteClose(4000, "bye")
	c.ExpectClose(4000)
	c.Conn.Close()
	size := len(testkit.Head("/", "X-Request-Id: abc-123")) + len(testkit.MaskedFrame(0x81, []byte("hello"))) +
		len(testkit.MaskedFrame(0x88, []byte("..bye"))) + len(testkit.MaskedFrame(0x88, []byte(".."))) // ExpectClose answers
	n.connection("connection closed", "cause=client_close", "initiator=client", "code=4000", me, "hub=chat",
		"messages_in=1", "messages_out=1", "bytes_in="+strconv.Itoa(size))

	n.open().Reset()
	n.connection("connection closed", "cause=client_gone", "code=1006", "messages_in=0")

	for id, want := range map[string]string{"X-Request-Id: q 1": "", "X-Request-Id: q-1": "request=q-1"} {
		c := n.dial()
		c.WriteString(testkit.Head("/nowhere?access_token=SECRET&x=1", id))
		if _, err := readAll(c); err != nil {
			t.Error(err)
		}
		parts := []string{"handshake refused", "reason=token_missing", "status=401",
			"uri=/nowhere?access_token=[redacted]&x=1", "remote=" + c.LocalAddr().String()}
		if want != "" {
			parts = append(parts, want)
		}
		n.connection(parts...)
	}
	if s := strings.Join(n.log.connections, "\n"); strings.Contains(s, "SECRET") || strings.Contains(s, "q 1") {
		t.Errorf("logged: %s", s)
	}
}

// TestLineBudget: of a storm only so many lines a second are written, and the
// rest is told in one.
func TestLineBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := &logBook{}
		r := newRig(Config{LogLinesPerSecond: 3}, echo)
		j := newJournal(newLogger(book), r.engine.metrics, 3)
		r.engine.journal, r.log = j, newLogger(book)
		storm := func() (lines int) {
			before := len(book.connections)
			for range 10 {
				_, gc := r.open()
				gc.hangUp()
			}
			return len(book.connections) - before
		}
		if got := storm(); got != 6 { // of each kind
			t.Errorf("%d lines of the first second", got)
		}
		j.refill()
		if all := book.all(); len(all) != 2 || !strings.Contains(all[0], "kind=opened") || !strings.Contains(all[0], "suppressed=7") {
			t.Errorf("summary: %q", all)
		}
		if got := r.engine.metrics.LogLinesSuppressed.Get(); got != 14 {
			t.Errorf("%d lines counted as suppressed", got)
		}
		j.refill() // nothing happened: nothing to say
		if got := storm(); got != 6 || len(book.all()) != 2 {
			t.Errorf("%d lines of the next second, %q", got, book.all())
		}
	})
}

func TestTraffic(t *testing.T) {
	var c traffic
	c.add(3, 5)
	c.add(0, 1<<35)
	c.add(1<<20, 7)
	if c.messages() != 3+(1<<20) || c.bytes() != 12+(1<<35) {
		t.Errorf("%d messages, %d bytes", c.messages(), c.bytes())
	}
}

// TestAge: the line tells the age since the upgrade.
func TestAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := &logBook{}
		r := newRig(timed, echo)
		r.engine.journal, r.log = newJournal(newLogger(book), r.engine.metrics, 10), newLogger(book)
		_, gc := r.connect()
		r.wait(500 * time.Millisecond)
		gc.receive([]byte(testkit.Head("/")))
		r.wait(5 * time.Second)
		gc.hangUp()
		last := book.connections[len(book.connections)-1]
		if !strings.Contains(last, "age_seconds=5\n") && !strings.Contains(last, "age_seconds=5.0") {
			t.Errorf("line: %s", last)
		}
		r.foldCounters()
	})
}
