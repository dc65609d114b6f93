package node

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/auth"
	"sluice/hub"
	"sluice/hub/wire"
	"sluice/internal/config"
	"sluice/internal/testkit"
)

const reliableProtocol = "Sec-WebSocket-Protocol: json.reliable.sluice.v1"

// traveller is a client of a reliable session whose network is bad. Its methods
// return errors, because many of them run at once.
type traveller struct {
	addr, url string
	id, token string
	conn      *testkit.Conn
	last      uint64   // the largest number that has come
	data      []string // of every message, once
	resumed   int
	progress  atomic.Int64 // messages that have come
}

// connect connects for the first time, or comes back.
func (v *traveller) connect() error {
	nc, err := testkit.TryDial("tcp", v.addr)
	if err != nil {
		return err
	}
	v.conn = testkit.Wrap(nil, nc)
	url := v.url
	if v.id != "" {
		url = "/client/hubs/chat?access_token=expired&awps_connection_id=" + v.id + "&awps_reconnection_token=" + v.token
	}
	if _, err := io.WriteString(nc, testkit.Head(url, reliableProtocol)); err != nil {
		return err
	}
	resp, err := http.ReadResponse(v.conn.R, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("handshake: %v %v", resp, err)
	}
	first, err := v.read()
	if err != nil || first != "connected" {
		return fmt.Errorf("first message: %q %v", first, err)
	}
	return nil
}

// read takes one message in and says what it was.
func (v *traveller) read() (string, error) {
	f, err := v.conn.TryReadFrame()
	if err != nil {
		return "", err
	}
	if f.Op != 1 {
		return "", fmt.Errorf("got %s", f)
	}
	var m struct {
		Type, Event, ConnectionID, ReconnectionToken, Data string
		SequenceID                                         uint64
	}
	if err := json.Unmarshal(f.Payload, &m); err != nil {
		return "", err
	}
	if m.Event == "connected" {
		if v.id != "" && m.ConnectionID != v.id {
			return "", fmt.Errorf("came back as %s", m.ConnectionID)
		}
		v.id, v.token = m.ConnectionID, m.ReconnectionToken
		return m.Event, nil
	}
	if m.SequenceID > v.last {
		if m.SequenceID != v.last+1 {
			return "", fmt.Errorf("number %d after %d", m.SequenceID, v.last)
		}
		v.last = m.SequenceID
		v.data = append(v.data, m.Data)
		v.progress.Add(1)
	}
	return m.Data, nil
}

// travel reads until the message "end", and loses its connection now and then,
// with or without having said what has come.
func (v *traveller) travel(random *rand.Rand) error {
	if err := v.connect(); err != nil {
		return err
	}
	for {
		data, err := v.read()
		if err != nil {
			return fmt.Errorf("after %d messages: %w", v.last, err)
		}
		if data == "end" {
			return nil
		}
		if random.IntN(3) == 0 {
			ack := fmt.Appendf(nil, `{"type":"sequenceAck","sequenceId":%d}`, v.last)
			if _, err := v.conn.Write(testkit.MaskedFrame(0x81, ack)); err != nil {
				return err
			}
		}
		if random.IntN(12) > 0 {
			continue
		}
		if tcp, ok := v.conn.Conn.(*net.TCPConn); ok && random.IntN(2) == 0 {
			_ = tcp.SetLinger(0) // a reset instead of an end of file
		}
		v.conn.Close()
		v.resumed++
		if err := v.connect(); err != nil {
			return fmt.Errorf("coming back: %w", err)
		}
	}
}

// TestReliableChaos cuts TCP connections at random while a back end publishes:
// every message reaches every client exactly once and in order.
func TestReliableChaos(t *testing.T) {
	testkit.NoLeaks(t)
	n := startNode(t, func(c *config.Config) {
		c.Engine.Loops = 3 // so that most who come back have to be moved
		c.Engine.PongTimeout = 2 * time.Second
	})
	const clients, messages = 40, 300
	var wg sync.WaitGroup
	errs := make([]error, clients)
	all := make([]*traveller, clients)
	for i := range clients {
		all[i] = &traveller{addr: n.Addrs()[0].String(),
			url: "/client/hubs/chat?access_token=" + mint(t, auth.Claims{User: fmt.Sprint("u", i), Groups: []string{"g"}})}
		wg.Go(func() { errs[i] = all[i].travel(rand.New(rand.NewPCG(uint64(i), 7))) })
	}
	h, _ := n.hubs.Hub("chat")
	testkit.Eventually(t, testkit.Patience, func() bool { return h.Stats().Sessions == clients }, "everybody is there")
	for i := range messages + 1 {
		text := fmt.Sprint(i)
		if i == messages {
			text = "end"
		}
		if err := h.SendToGroup("g", &hub.Outgoing{DataType: wire.Text, Data: []byte(text)}, hub.Selection{}); err != nil {
			t.Fatal(err)
		}
		// Some of what is published must meet clients that have read what came
		// before, and lose their connection now.
		testkit.Eventually(t, testkit.Patience, func() bool {
			return !slices.ContainsFunc(all, func(v *traveller) bool { return v.progress.Load() < int64(i)-20 })
		}, "nobody is far behind")
	}
	wg.Wait()
	resumed := 0
	for i, v := range all {
		if errs[i] != nil {
			t.Errorf("client %d: %v", i, errs[i])
			continue
		}
		resumed += v.resumed
		for k, data := range v.data[:messages] {
			if data != fmt.Sprint(k) {
				t.Errorf("client %d: message %d is %q", i, k, data)
				break
			}
		}
		if len(v.data) != messages+1 {
			t.Errorf("client %d got %d messages", i, len(v.data))
		}
		if v.conn != nil {
			_, _ = v.conn.Write(testkit.MaskedFrame(0x88, nil)) // a proper end
			v.conn.Close()
		}
	}
	if resumed == 0 || h.Stats().Resumed != uint64(resumed) {
		t.Errorf("%d came back, %d counted", resumed, h.Stats().Resumed)
	}
	testkit.Eventually(t, testkit.Patience, func() bool {
		s := h.Stats()
		return s.Sessions == 0 && s.Away == 0 && s.Groups == 0 && n.hubs.UnackedBytes() == 0
	}, "nothing is left of anybody")
	if _, body := get(t, n, "/metrics"); !strings.Contains(body, "\nsluice_panics_total 0\n") {
		t.Error("something panicked")
	}
}

// TestStartAfresh: a client whose session is not there is let in and told so with
// 1008; an HTTP error would have it try again.
func TestStartAfresh(t *testing.T) {
	n := startNode(t, nil)
	for name, query := range map[string]string{
		"unknown":         "connection_id=aaaaaaaaaaaaaaaaaaaaaaaaaa&reconnection_token=x",
		"compatible name": "awps_connection_id=aaaaaaaaaaaaaaaaaaaaaaaaaa&awps_reconnection_token=x",
		"no token":        "connection_id=aaaaaaaaaaaaaaaaaaaaaaaaaa",
	} {
		t.Run(name, func(t *testing.T) {
			c := testkit.DialWebSocket(t, n.Addrs()[0].String(), "/client/hubs/chat?"+query, reliableProtocol)
			if reason := c.ExpectClose(1008); !strings.Contains(reason, "start afresh") {
				t.Errorf("reason %q", reason)
			}
		})
	}
}
