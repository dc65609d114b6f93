package frame_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"sluice/frame"
)

func seal(op frame.Opcode, payload []byte) *frame.Message {
	return frame.Seal(op, append(make([]byte, frame.HeadRoom), payload...))
}

func TestSeal(t *testing.T) {
	for _, size := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} {
		payload := sample(size, 1)
		buf := append(make([]byte, frame.HeadRoom), payload...)
		m := frame.Seal(frame.OpBinary, buf)
		if want := frame.AppendFrame(nil, frame.OpBinary, payload); !bytes.Equal(m.Frame(), want) {
			t.Errorf("%d bytes: the frame differs from AppendFrame's", size)
		}
		if !bytes.Equal(m.Payload(), payload) || m.Op() != frame.OpBinary {
			t.Errorf("%d bytes: payload or opcode changed", size)
		}
		if size > 0 && &m.Payload()[0] != &buf[frame.HeadRoom] {
			t.Errorf("%d bytes: the payload was copied", size)
		}
	}
}

func TestMessageDeflated(t *testing.T) {
	c := frame.NewCodec(frame.Config{})
	cfg := frame.DeflateConfig{Enabled: true}
	d := negotiated(t, false, false)
	small, _ := frame.NegotiateDeflate([]string{"permessage-deflate; server_max_window_bits=10"}, cfg)
	cases := []struct {
		name    string
		op      frame.Opcode
		payload []byte
		d       *frame.Deflate
		twin    bool
	}{
		{"compressed", frame.OpText, sample(300, 1), d, true},
		{"large", frame.OpText, sample(100_000, 1), d, true},
		{"not negotiated", frame.OpText, sample(300, 1), nil, false},
		{"below the minimum size", frame.OpText, sample(255, 1), d, false},
		{"does not shrink", frame.OpBinary, noise(300), d, false},
		{"control frame", frame.OpPing, nil, d, false},
		{"fits a small window", frame.OpText, sample(1024, 1), small, true},
		{"does not fit a small window", frame.OpText, sample(1025, 1), small, false},
		{"connection with a context", frame.OpText, sample(300, 1), negotiated(t, false, true), false},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			m := seal(tc.op, tc.payload)
			wire := m.Deflated(c, tc.d)
			payload, compressed := body(t, wire)
			if compressed != tc.twin {
				t.Fatalf("compressed=%v", compressed)
			}
			if !tc.twin {
				if !bytes.Equal(wire, m.Frame()) {
					t.Error("not the plain frame")
				}
				return
			}
			if got, err := stdInflate(payload, nil); err != nil || !bytes.Equal(got, tc.payload) {
				t.Errorf("err=%v, %d bytes", err, len(got))
			}
			if again := m.Deflated(frame.NewCodec(frame.Config{}), tc.d); &again[0] != &wire[0] {
				t.Error("the twin was made twice")
			}
		})
	}
}

// Several loops may ask for the twin of one message at once.
func TestMessageDeflatedFromSeveralLoops(t *testing.T) {
	const loops = 4
	messages := make([]*frame.Message, 50)
	for i := range messages {
		messages[i] = seal(frame.OpText, sample(3000, i))
	}
	twins := make([][][]byte, loops)
	d := negotiated(t, false, false)
	var wg sync.WaitGroup
	for i := range loops {
		wg.Go(func() {
			c := frame.NewCodec(frame.Config{})
			for _, m := range messages {
				twins[i] = append(twins[i], m.Deflated(c, d))
			}
		})
	}
	wg.Wait()
	for i, m := range messages {
		for loop := range loops {
			if &twins[loop][i][0] != &twins[0][i][0] {
				t.Fatalf("message %d has several twins", i)
			}
		}
		payload, _ := body(t, twins[0][i])
		if got, err := stdInflate(payload, nil); err != nil || !bytes.Equal(got, m.Payload()) {
			t.Fatalf("message %d: err=%v", i, err)
		}
	}
}

func TestAppendMaskedFrame(t *testing.T) {
	for _, size := range []int{0, 5, 126, 70_000} {
		payload := strings.Repeat("m", size)
		got := frame.AppendMaskedFrame([]byte("before"), frame.OpText, []byte(payload), testKey)
		if want := append([]byte("before"), stream(true, fr{true, false, frame.OpText, payload})...); !bytes.Equal(got, want) {
			t.Errorf("%d bytes: not what the stream has", size)
		}
	}
}

// What a client's codec writes, a server's reader reads, and the payload given
// to it stays as it was.
func TestClientAppendMessage(t *testing.T) {
	cfg := frame.Config{Client: true, Deflate: frame.DeflateConfig{MinSize: 1}}
	client, server := frame.NewCodec(cfg), frame.NewCodec(frame.Config{})
	for name, d := range map[string]*frame.Deflate{"plain": nil, "deflate": negotiated(t, true, false)} {
		var r frame.Reader
		r.SetDeflate(negotiated(t, false, false))
		for _, size := range []int{0, 5, 126, 70_000} {
			payload := sample(size, 3)
			wire := client.AppendMessage(nil, frame.OpText, payload, d)
			if got := one(t, &r, server, wire); !bytes.Equal(got, payload) || !bytes.Equal(payload, sample(size, 3)) {
				t.Errorf("%s: %d bytes: something else arrived", name, size)
			}
		}
		wire := client.AppendMessage(nil, frame.OpPing, []byte("ping"), d)
		if got := feed(t, &r, server, wire, whole); len(got.events) != 1 || got.events[0] != ping("ping") {
			t.Errorf("%s: %v", name, got)
		}
	}
}
