package frame_test

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"sluice/frame"
)

var headerCases = []struct {
	name string
	wire string
	want frame.Header
}{
	{"empty text", "\x81\x00", frame.Header{Fin: true, Op: frame.OpText}},
	{"first fragment", "\x02\x05", frame.Header{Op: frame.OpBinary, Length: 5}},
	{"last fragment", "\x80\x05", frame.Header{Fin: true, Op: frame.OpContinuation, Length: 5}},
	{"compressed", "\xc1\x05", frame.Header{Fin: true, RSV1: true, Op: frame.OpText, Length: 5}},
	{"masked", "\x82\x85\x01\x02\x03\x04", frame.Header{Fin: true, Masked: true, Op: frame.OpBinary, Key: [4]byte{1, 2, 3, 4}, Length: 5}},
	{"7 bits, most", "\x82\x7d", frame.Header{Fin: true, Op: frame.OpBinary, Length: 125}},
	{"16 bits, least", "\x82\x7e\x00\x7e", frame.Header{Fin: true, Op: frame.OpBinary, Length: 126}},
	{"16 bits, most", "\x82\x7e\xff\xff", frame.Header{Fin: true, Op: frame.OpBinary, Length: 65535}},
	{"64 bits, least", "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", frame.Header{Fin: true, Op: frame.OpBinary, Length: 65536}},
	{"64 bits, most", "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", frame.Header{Fin: true, Op: frame.OpBinary, Length: math.MaxInt64}},
	{"64 bits, masked", "\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00\x05\x06\x07\x08", frame.Header{Fin: true, Masked: true, Op: frame.OpBinary, Key: [4]byte{5, 6, 7, 8}, Length: 65536}},
	{"close", "\x88\x02", frame.Header{Fin: true, Op: frame.OpClose, Length: 2}},
	{"longest ping", "\x89\x7d", frame.Header{Fin: true, Op: frame.OpPing, Length: 125}},
	{"pong", "\x8a\x00", frame.Header{Fin: true, Op: frame.OpPong}},
}

func TestParseHeader(t *testing.T) {
	for _, tc := range headerCases {
		t.Run(tc.name, func(t *testing.T) {
			wire := []byte(tc.wire)
			for cut := range wire {
				if _, n, err := frame.ParseHeader(wire[:cut]); n != 0 || err != nil {
					t.Errorf("of the first %d bytes: n=%d, err=%v; want more bytes", cut, n, err)
				}
			}
			h, n, err := frame.ParseHeader(append(wire, "payload"...))
			if err != nil || n != len(wire) || h != tc.want {
				t.Errorf("got %+v, %d, %v\nwant %+v, %d", h, n, err, tc.want, len(wire))
			}
			if got := frame.AppendHeader(nil, tc.want); !bytes.Equal(got, wire) {
				t.Errorf("AppendHeader: got % x, want % x", got, wire)
			}
		})
	}
}

func TestParseHeaderRefuses(t *testing.T) {
	cases := map[string]string{
		"RSV2":                       "\xa1\x00",
		"RSV3":                       "\x91\x00",
		"all RSV":                    "\xf1\x00",
		"RSV1 on a continuation":     "\xc0\x00",
		"RSV1 on a ping":             "\xc9\x00",
		"RSV1 on a close":            "\xc8\x00",
		"opcode 3":                   "\x83\x00",
		"opcode 7":                   "\x87\x00",
		"opcode 11":                  "\x8b\x00",
		"opcode 15":                  "\x8f\x00",
		"fragmented ping":            "\x09\x00",
		"fragmented close":           "\x08\x00",
		"ping of 126 bytes":          "\x89\x7e",
		"close of 64-bit length":     "\x88\x7f",
		"125 in 16 bits":             "\x82\x7e\x00\x7d",
		"0 in 16 bits":               "\x82\x7e\x00\x00",
		"65535 in 64 bits":           "\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff",
		"top bit of a 64-bit length": "\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00",
	}
	for name, wire := range cases {
		t.Run(name, func(t *testing.T) {
			_, n, err := frame.ParseHeader([]byte(wire))
			var violation *frame.Error
			if !errors.As(err, &violation) || violation.Code != frame.CloseProtocolError || n != 0 {
				t.Errorf("got n=%d, err=%v; want a protocol error", n, err)
			}
		})
	}
}

func FuzzParseHeader(f *testing.F) {
	for _, tc := range headerCases {
		f.Add([]byte(tc.wire))
	}
	f.Add([]byte("\x82\x7e\x00\x7d"))
	f.Add([]byte("\xf8\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, p []byte) {
		h, n, err := frame.ParseHeader(p)
		if err != nil || n == 0 {
			if n != 0 || h != (frame.Header{}) {
				t.Fatalf("n=%d, h=%+v beside err=%v", n, h, err)
			}
			return
		}
		// Everything accepted has exactly one form on the wire.
		if again := frame.AppendHeader(nil, h); !bytes.Equal(again, p[:n]) {
			t.Fatalf("% x parsed as %+v is % x", p[:n], h, again)
		}
		if h.Length < 0 || h.Op.IsControl() && h.Length > 125 {
			t.Fatalf("accepted %+v", h)
		}
	})
}
