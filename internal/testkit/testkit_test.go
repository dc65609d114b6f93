package testkit_test

import (
	"bytes"
	"net"
	"testing"
	"time"

	"sluice/internal/testkit"
)

// TestMaskedFrame builds the examples of RFC 6455 5.7, and lengths of every
// form.
func TestMaskedFrame(t *testing.T) {
	for _, tt := range []struct {
		name  string
		first byte
		n     int
		head  []byte
	}{
		{"empty", 0x89, 0, []byte{0x89, 0x80}},
		{"short", 0x82, 125, []byte{0x82, 0x80 | 125}},
		{"two bytes", 0x82, 126, []byte{0x82, 0x80 | 126, 0, 126}},
		{"two bytes, longest", 0x82, 1<<16 - 1, []byte{0x82, 0x80 | 126, 0xff, 0xff}},
		{"eight bytes", 0x02, 1 << 16, []byte{0x02, 0x80 | 127, 0, 0, 0, 0, 0, 1, 0, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := testkit.MaskedFrame(tt.first, make([]byte, tt.n))
			if !bytes.HasPrefix(got, tt.head) || len(got) != len(tt.head)+4+tt.n {
				t.Errorf("got % x, %d bytes", got[:min(len(got), 14)], len(got))
			}
		})
	}
	got := testkit.MaskedFrame(0x81, []byte("Hello"))
	want := []byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}
	if !bytes.Equal(got, want) {
		t.Errorf("the example of the RFC: % x", got)
	}
}

func TestTryReadFrame(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 300)
	for _, tt := range []struct {
		name string
		wire []byte
		want testkit.Frame
		ok   bool
	}{
		{"text", []byte{0x81, 2, 'h', 'i'}, testkit.Frame{Fin: true, Op: 1, Payload: []byte("hi")}, true},
		{"compressed fragment", []byte{0x42, 1, 0}, testkit.Frame{RSV: 4, Op: 2, Payload: []byte{0}}, true},
		{"longer", append([]byte{0x82, 126, 1, 44}, long...), testkit.Frame{Fin: true, Op: 2, Payload: long}, true},
		{"masked by a server", []byte{0x81, 0x80, 0, 0, 0, 0}, testkit.Frame{}, false},
		{"cut", []byte{0x81, 2, 'h'}, testkit.Frame{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server, client := net.Pipe()
			go func() {
				server.Write(tt.wire)
				server.Close()
			}()
			got, err := testkit.Wrap(t, client).TryReadFrame()
			if (err == nil) != tt.ok {
				t.Fatalf("error %v", err)
			}
			if tt.ok && (got.Fin != tt.want.Fin || got.RSV != tt.want.RSV || got.Op != tt.want.Op || !bytes.Equal(got.Payload, tt.want.Payload)) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestNoLeaks has a goroutine that ends only after the test: in time, because
// the check is patient.
func TestNoLeaks(t *testing.T) {
	testkit.NoLeaks(t)
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	go func() { <-stop }()
}

func TestEventually(t *testing.T) {
	tries := 0
	testkit.Eventually(t, time.Minute, func() bool { tries++; return tries == 3 }, "the third try")
	if tries != 3 {
		t.Errorf("%d tries", tries)
	}
}
