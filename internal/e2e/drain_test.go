package e2e

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sluice/internal/testkit"
)

// TestNothingAcknowledgedIsLost: SIGTERM comes while several clients publish.
// Each member gets every message from the first one on, without a gap, until its
// connection is closed; and what was acknowledged before the signal reaches all.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	n := serve(t)
	const members, publishers = 6, 4
	url := "/client/hubs/chat?access_token=" + token(t, "--role", "sluice.sendToGroup", "--role", "sluice.joinLeaveGroup")
	connect := func() *testkit.Conn {
		c := testkit.DialWebSocket(t, n.addr, url, "Sec-WebSocket-Protocol: json.sluice.v1")
		c.ReadText()
		return c
	}
	var wg sync.WaitGroup
	got := make([][publishers]int, members) // the last number from each publisher
	for i := range members {
		c := connect()
		c.WriteText(`{"type":"joinGroup","group":"g","ackId":1}`)
		c.ReadText()
		wg.Go(func() {
			if err := receive(c, &got[i]); err != nil {
				t.Errorf("member %d: %v", i, err)
			}
		})
	}
	var acked [publishers]atomic.Int64
	for p := range publishers {
		c := connect()
		wg.Go(func() { publish(c, p, &acked[p]) })
	}
	total := func() (sum int64) {
		for p := range acked {
			sum += acked[p].Load()
		}
		return sum
	}
	testkit.Eventually(t, patience, func() bool { return total() > 500 }, "500 messages acknowledged")
	var before [publishers]int64
	for p := range acked {
		before[p] = acked[p].Load()
	}
	n.signal(syscall.SIGTERM)
	wg.Wait()
	if code := n.wait(); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
	for i, member := range got {
		for p, last := range member {
			if int64(last) < before[p] {
				t.Errorf("member %d got %d messages of publisher %d, which had %d acknowledged before the signal", i, last, p, before[p])
			}
		}
	}
	t.Logf("%d messages acknowledged, %d of them before the signal", total(), before)
}

type said struct {
	Type, Event      string
	Success          bool
	ReconnectAfterMs int
	Data             struct{ P, N int }
}

// goodbye is the payload of the close frame: 1012 and a reason.
var goodbye = regexp.MustCompile(`^\x03(?s:.+)service restart; reconnect in \d\.\ds$`)

// receive reads up to the close and checks that no number is left out.
func receive(c *testkit.Conn, last *[4]int) error {
	defer c.Conn.Close()
	told := false
	for {
		f, err := c.TryReadFrame()
		if err != nil {
			return err
		}
		if f.Op == 8 {
			if !told || !goodbye.MatchString(string(f.Payload)) {
				return fmt.Errorf("close: %s, told before: %v", f, told)
			}
			return nil
		}
		var m said
		if err := json.Unmarshal(f.Payload, &m); err != nil {
			return fmt.Errorf("%w: %s", err, f)
		}
		switch {
		case m.Event == "disconnected":
			if told = m.ReconnectAfterMs > 0; !told {
				return fmt.Errorf("no time to wait: %s", f)
			}
		case m.Type == "message":
			if m.Data.N != last[m.Data.P]+1 {
				return fmt.Errorf("%d of publisher %d after %d", m.Data.N, m.Data.P, last[m.Data.P])
			}
			last[m.Data.P] = m.Data.N
		}
	}
}

// publish sends one message after the other, each when the one before is
// acknowledged, until the connection is closed.
func publish(c *testkit.Conn, p int, acked *atomic.Int64) {
	defer c.Conn.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	for k := 1; ; k++ {
		text := fmt.Sprintf(`{"type":"sendToGroup","group":"g","ackId":%d,"dataType":"json","data":{"p":%d,"n":%d}}`, k, p, k)
		if _, err := c.Conn.Write(testkit.MaskedFrame(0x81, []byte(text))); err != nil {
			return
		}
		f, err := c.TryReadFrame()
		if err != nil || !strings.Contains(string(f.Payload), `"success":true`) {
			return // the drain has come to this one
		}
		acked.Store(int64(k))
	}
}
