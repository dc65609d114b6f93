package frame_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"sluice/frame"
)

// feed gives r the input in parts and collects what comes out. Each part is a
// copy that is overwritten afterwards, so an event or a buffer that lives on in
// the input shows.
func feed(t testing.TB, r *frame.Reader, c *frame.Codec, in []byte, size func(i int) int) outcome {
	t.Helper()
	var out outcome
	for i := 0; len(in) > 0; i++ {
		part := bytes.Clone(in[:min(len(in), size(i))])
		in = in[len(part):]
		for rest := part; ; {
			ev, n, err := r.Next(c, rest)
			if err != nil {
				var violation *frame.Error
				if !errors.As(err, &violation) {
					t.Fatalf("error of type %T: %v", err, err)
				}
				out.failed = violation.Code
				return out
			}
			rest = rest[n:]
			if ev.Kind == frame.KindNone {
				if len(rest) > 0 {
					t.Fatalf("%d bytes left without an event", len(rest))
				}
				break
			}
			out.events = append(out.events, event{ev.Kind, ev.Op, ev.Code, string(ev.Payload)})
		}
		for i := range part {
			part[i] = 0xaa
		}
		if !r.Pending() && r.Buffered() != 0 {
			t.Fatalf("%d bytes held while idle", r.Buffered())
		}
	}
	return out
}

func whole(int) int    { return 1 << 30 }
func bytewise(int) int { return 1 }

var testKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// fr is one frame of a test stream, as its sender's role writes it.
type fr struct {
	fin     bool
	rsv1    bool
	op      frame.Opcode
	payload string
}

func stream(fromClient bool, frames ...fr) []byte {
	var wire []byte
	for _, f := range frames {
		h := frame.Header{Fin: f.fin, RSV1: f.rsv1, Op: f.op, Length: int64(len(f.payload))}
		if fromClient {
			h.Masked, h.Key = true, testKey
		}
		wire = frame.AppendHeader(wire, h)
		for i := range len(f.payload) {
			wire = append(wire, f.payload[i]^h.Key[i%4])
		}
	}
	return wire
}

func text(s string) event { return event{kind: frame.KindMessage, op: frame.OpText, payload: s} }
func bin(s string) event  { return event{kind: frame.KindMessage, op: frame.OpBinary, payload: s} }
func ping(s string) event { return event{kind: frame.KindPing, op: frame.OpPing, payload: s} }
func pong(s string) event { return event{kind: frame.KindPong, op: frame.OpPong, payload: s} }
func closed(code frame.CloseCode, reason string) event {
	return event{frame.KindClose, frame.OpClose, code, reason}
}

// closeBody is the payload of a close frame with any code and reason.
func closeBody(code uint16, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, code)) + reason
}

// The names are the numbers of the cases of the Autobahn test suite, where it
// has one.
var readerCases = []struct {
	name   string
	frames []fr
	want   outcome
}{
	{"1.1.1 empty text", []fr{{true, false, 1, ""}}, outcome{events: []event{text("")}}},
	{"1.1.2", []fr{{true, false, 1, strings.Repeat("*", 125)}}, outcome{events: []event{text(strings.Repeat("*", 125))}}},
	{"1.1.3", []fr{{true, false, 1, strings.Repeat("*", 126)}}, outcome{events: []event{text(strings.Repeat("*", 126))}}},
	{"1.1.6 longest of 16 bits", []fr{{true, false, 1, strings.Repeat("*", 65535)}}, outcome{events: []event{text(strings.Repeat("*", 65535))}}},
	{"1.1.7", []fr{{true, false, 1, strings.Repeat("*", 65536)}}, outcome{events: []event{text(strings.Repeat("*", 65536))}}},
	{"1.2.1 empty binary", []fr{{true, false, 2, ""}}, outcome{events: []event{bin("")}}},
	{"1.2.3", []fr{{true, false, 2, strings.Repeat("\xfe", 126)}}, outcome{events: []event{bin(strings.Repeat("\xfe", 126))}}},

	{"2.1 ping", []fr{{true, false, 9, ""}}, outcome{events: []event{ping("")}}},
	{"2.4 longest ping", []fr{{true, false, 9, strings.Repeat("\xfe", 125)}}, outcome{events: []event{ping(strings.Repeat("\xfe", 125))}}},
	{"2.5 ping too long", []fr{{true, false, 9, strings.Repeat("\xfe", 126)}}, outcome{failed: 1002}},
	{"2.7 pong unasked", []fr{{true, false, 10, "x"}, {true, false, 9, "y"}}, outcome{events: []event{pong("x"), ping("y")}}},

	{"3.2 RSV after a good message", []fr{{true, false, 1, "ok"}, {true, true, 1, "bad"}}, outcome{events: []event{text("ok")}, failed: 1002}},
	{"3.4 RSV1 on a ping", []fr{{true, true, 9, ""}}, outcome{failed: 1002}},
	{"4.1.1 reserved opcode", []fr{{true, false, 3, ""}}, outcome{failed: 1002}},
	{"4.2.3 reserved control opcode", []fr{{true, false, 1, "ok"}, {true, false, 11, ""}, {true, false, 9, ""}}, outcome{events: []event{text("ok")}, failed: 1002}},

	{"5.1 fragmented ping", []fr{{false, false, 9, "a"}, {true, false, 0, "b"}}, outcome{failed: 1002}},
	{"5.3 two fragments", []fr{{false, false, 1, "fragment1"}, {true, false, 0, "fragment2"}}, outcome{events: []event{text("fragment1fragment2")}}},
	{"5.6 ping between", []fr{{false, false, 1, "one"}, {true, false, 9, "ping"}, {true, false, 0, "two"}}, outcome{events: []event{ping("ping"), text("onetwo")}}},
	{"5.9 continuation without start", []fr{{true, false, 0, "x"}, {true, false, 1, "y"}}, outcome{failed: 1002}},
	{"5.12 unfinished continuation without start", []fr{{false, false, 0, "x"}}, outcome{failed: 1002}},
	{"5.15 continuation after the end", []fr{{false, false, 1, "a"}, {true, false, 0, "b"}, {false, false, 0, "c"}, {true, false, 1, "d"}}, outcome{events: []event{text("ab")}, failed: 1002}},
	{"5.18 message inside a message", []fr{{false, false, 1, "a"}, {true, false, 1, "b"}}, outcome{failed: 1002}},
	{"5.19 pings and pongs between", []fr{
		{false, false, 1, "1"}, {false, false, 0, "2"}, {true, false, 9, "p"}, {false, false, 0, "3"}, {true, false, 10, "q"}, {false, false, 0, ""}, {true, false, 0, "4"},
	}, outcome{events: []event{ping("p"), pong("q"), text("1234")}}},
	{"close between", []fr{{false, false, 1, "1"}, {true, false, 8, closeBody(1001, "bye")}}, outcome{events: []event{closed(1001, "bye")}}},

	{"6.1.2 empty fragments", []fr{{false, false, 1, ""}, {false, false, 0, ""}, {true, false, 0, ""}}, outcome{events: []event{text("")}}},
	{"6.1.3 one fragment not empty", []fr{{false, false, 1, ""}, {false, false, 0, "middle"}, {true, false, 0, ""}}, outcome{events: []event{text("middle")}}},
	{"6.2.3 runes across fragments", []fr{{false, false, 1, "\xce"}, {false, false, 0, "\xba\xe1"}, {false, false, 0, "\xbd"}, {true, false, 0, "\xb9"}}, outcome{events: []event{text("\u03ba\u1f79")}}},
	{"6.3.1 bad text", []fr{{true, false, 1, "κόσμε\xed\xa0\x80edited"}}, outcome{failed: 1007}},
	{"6.4.1 bad in the middle of fragments", []fr{{false, false, 1, "κόσμε"}, {false, false, 0, "\xf4\x90\x80\x80"}, {true, false, 0, "edited"}}, outcome{failed: 1007}},
	{"6.4.2 bad at the second byte", []fr{{false, false, 1, "κόσμε\xf4"}, {false, false, 0, "\x90"}}, outcome{failed: 1007}},
	{"6.6.1 unfinished rune", []fr{{true, false, 1, "\xce"}}, outcome{failed: 1007}},
	{"unfinished rune in a fragment", []fr{{false, false, 1, "a"}, {true, false, 0, "\xe6\x97"}}, outcome{failed: 1007}},
	{"unfinished rune, ping, rest", []fr{{false, false, 1, "\xe6\x97"}, {true, false, 9, "\xff"}, {true, false, 0, "\xa5"}}, outcome{events: []event{ping("\xff"), text("日")}}},
	{"binary is not checked", []fr{{false, false, 2, "\xff"}, {true, false, 0, "\xc0"}}, outcome{events: []event{bin("\xff\xc0")}}},

	{"7.3.1 empty close", []fr{{true, false, 8, ""}}, outcome{events: []event{closed(1005, "")}}},
	{"7.3.2 close of one byte", []fr{{true, false, 8, "a"}}, outcome{failed: 1002}},
	{"7.3.3 code only", []fr{{true, false, 8, closeBody(1000, "")}}, outcome{events: []event{closed(1000, "")}}},
	{"7.3.5 longest reason", []fr{{true, false, 8, closeBody(1000, strings.Repeat("*", 123))}}, outcome{events: []event{closed(1000, strings.Repeat("*", 123))}}},
	{"7.3.6 reason too long", []fr{{true, false, 8, closeBody(1000, strings.Repeat("*", 124))}}, outcome{failed: 1002}},
	{"7.5.1 bad reason", []fr{{true, false, 8, closeBody(1000, "κόσμε\xed\xa0\x80edited")}}, outcome{failed: 1007}},
	{"7.9.1 code 0", []fr{{true, false, 8, closeBody(0, "")}}, outcome{failed: 1002}},
	{"7.9.4 code 1005", []fr{{true, false, 8, closeBody(1005, "")}}, outcome{failed: 1002}},
	{"7.9.8 code 1100", []fr{{true, false, 8, closeBody(1100, "")}}, outcome{failed: 1002}},
	{"7.13.1 code 5000", []fr{{true, false, 8, closeBody(5000, "")}}, outcome{failed: 1002}},
}

func TestReader(t *testing.T) {
	for _, tc := range readerCases {
		for role, client := range map[string]bool{"server": false, "client": true} {
			t.Run(tc.name+"/"+role, func(t *testing.T) {
				in := stream(!client, tc.frames...)
				cuts := map[string]func(int) int{"whole": whole, "bytewise": bytewise, "sevens": func(int) int { return 7 }}
				for name, size := range cuts {
					var r frame.Reader
					c := frame.NewCodec(frame.Config{Client: client})
					if got := feed(t, &r, c, in, size); !reflect.DeepEqual(got, tc.want) {
						t.Errorf("%s: got %v\nwant %v", name, got, tc.want)
					}
					r.Release()
				}
				if got := (&twin{client: client, most: 1 << 20}).run(in); !reflect.DeepEqual(got, tc.want) {
					t.Errorf("twin: got %v\nwant %v", got, tc.want)
				}
			})
		}
	}
}

func TestReaderChecksMask(t *testing.T) {
	for _, client := range []bool{false, true} {
		var r frame.Reader
		c := frame.NewCodec(frame.Config{Client: client})
		got := feed(t, &r, c, stream(client, fr{true, false, 1, "hi"}), whole)
		if got.failed != frame.CloseProtocolError {
			t.Errorf("client=%v: got %v, want a protocol error", client, got)
		}
	}
}

// Autobahn 6.4: a bad byte fails the connection when it arrives, not when the
// frame or the message ends.
func TestReaderFailsAtFirstBadByte(t *testing.T) {
	for _, s := range texts {
		bad := firstBad(s)
		if bad < 0 {
			continue
		}
		in := stream(true, fr{false, false, 1, s + "more"})
		header := len(in) - len(s+"more")
		c := frame.NewCodec(frame.Config{})
		var r frame.Reader
		for i := range in {
			_, _, err := r.Next(c, bytes.Clone(in[i:i+1]))
			if failed := err != nil; failed != (i == header+bad) {
				t.Errorf("%q: after byte %d of the payload: err=%v, want it at byte %d", s, i-header, err, bad)
			}
			if err != nil {
				break
			}
		}
		r.Release()
	}
}

func TestReaderLimit(t *testing.T) {
	const most = 100
	long := strings.Repeat("x", most)
	cases := []struct {
		name   string
		frames []fr
		want   outcome
	}{
		{"at the limit", []fr{{true, false, 1, long}}, outcome{events: []event{text(long)}}},
		{"above the limit", []fr{{true, false, 1, long + "x"}}, outcome{failed: 1009}},
		{"fragments at the limit", []fr{{false, false, 1, long[1:]}, {true, false, 0, "x"}}, outcome{events: []event{text(long)}}},
		{"fragments above the limit", []fr{{false, false, 1, long}, {true, false, 0, "x"}}, outcome{failed: 1009}},
		{"control frames do not count", []fr{{false, false, 1, long}, {true, false, 9, long + long[:25]}, {true, false, 0, ""}}, outcome{events: []event{ping(long + long[:25]), text(long)}}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			for _, size := range []func(int) int{whole, bytewise} {
				var r frame.Reader
				c := frame.NewCodec(frame.Config{MaxMessageSize: most})
				if got := feed(t, &r, c, stream(true, tc.frames...), size); !reflect.DeepEqual(got, tc.want) {
					t.Errorf("got %v, want %v", got, tc.want)
				}
			}
		})
	}
}

func TestReaderRefusesAtTheHeader(t *testing.T) {
	var r frame.Reader
	c := frame.NewCodec(frame.Config{})
	h := frame.AppendHeader(nil, frame.Header{Fin: true, Op: frame.OpText, Masked: true, Length: 1<<20 + 1})
	var violation *frame.Error
	if _, _, err := r.Next(c, h); !errors.As(err, &violation) || violation.Code != frame.CloseMessageTooBig {
		t.Errorf("got %v, want message too big", err)
	}
	if r.Buffered() != 0 {
		t.Errorf("%d bytes held", r.Buffered())
	}
}

// What a header announces costs nothing; what arrives costs its size, rounded
// up to the next size of buffer and at most doubled where there is none.
func TestReaderBuffersOnlyWhatArrived(t *testing.T) {
	var r frame.Reader
	c := frame.NewCodec(frame.Config{})
	defer r.Release()
	feedAll := func(p []byte) {
		t.Helper()
		if ev, n, err := r.Next(c, p); ev.Kind != frame.KindNone || n != len(p) || err != nil {
			t.Fatalf("got %v, %d, %v", ev, n, err)
		}
	}
	feedAll(frame.AppendHeader(nil, frame.Header{Fin: true, Op: frame.OpBinary, Masked: true, Length: 1 << 20}))
	if r.Buffered() != 0 || !r.Pending() {
		t.Errorf("after the header: %d bytes held, pending=%v", r.Buffered(), r.Pending())
	}
	arrived := 0
	for size := 1; arrived+size < 1<<20; size += 200 {
		feedAll(make([]byte, size))
		arrived += size
		most := max(256, 4*arrived)
		if arrived > 64<<10 {
			most = 2 * arrived
		}
		if r.Buffered() < arrived || r.Buffered() > most {
			t.Fatalf("%d bytes held for %d", r.Buffered(), arrived)
		}
	}
	if r.Buffered() != 1<<20 {
		t.Errorf("%d bytes held at the end, want the announced 1 MiB and no more", r.Buffered())
	}
}

func TestReaderPending(t *testing.T) {
	c := frame.NewCodec(frame.Config{})
	in := stream(true, fr{false, false, 1, ""}, fr{true, false, 9, "p"}, fr{true, false, 0, "x"})
	var r frame.Reader
	if r.Pending() {
		t.Error("pending before anything arrived")
	}
	for i := range in {
		if _, _, err := r.Next(c, bytes.Clone(in[i:i+1])); err != nil {
			t.Fatal(err)
		}
		if last := i == len(in)-1; r.Pending() == last {
			t.Errorf("after byte %d of %d: pending=%v", i+1, len(in), r.Pending())
		}
	}
}

func TestReaderRelease(t *testing.T) {
	c := frame.NewCodec(frame.Config{})
	var r frame.Reader
	in := stream(true, fr{false, false, 1, "abc"}, fr{true, false, 9, "ping"})
	feed(t, &r, c, in[:len(in)-1], whole)
	if r.Buffered() == 0 {
		t.Fatal("nothing held")
	}
	r.Release()
	if r != (frame.Reader{}) {
		t.Errorf("left over: %+v", r)
	}
	r.Release()
}

// A violation is all that the engine needs for its close frame and its log.
func TestError(t *testing.T) {
	var r frame.Reader
	_, _, err := r.Next(frame.NewCodec(frame.Config{}), stream(false, fr{true, false, 1, "hi"}))
	if err == nil || err.Error() != "websocket: frame of a client is not masked (1002)" {
		t.Errorf("got %v", err)
	}
}

func TestReaderPayloadInPlace(t *testing.T) {
	c := frame.NewCodec(frame.Config{})
	var r frame.Reader
	in := stream(true, fr{true, false, 1, "in place"})
	ev, n, err := r.Next(c, in)
	if err != nil || n != len(in) {
		t.Fatal(n, err)
	}
	if &ev.Payload[0] != &in[6] || string(ev.Payload) != "in place" {
		t.Errorf("payload %q is a copy", ev.Payload)
	}
}

func TestReaderSize(t *testing.T) {
	if size := unsafe.Sizeof(frame.Reader{}); size > 56 {
		t.Errorf("a Reader has %d bytes; there is one per connection", size)
	}
}

// A message in tiny fragments must stay linear: its buffer may move only as
// often as its size doubles, however control frames are mixed in.
func TestReaderTinyFragments(t *testing.T) {
	const fragments = 50_000
	c := frame.NewCodec(frame.Config{})
	var r frame.Reader
	defer r.Release()
	pings := stream(true, fr{true, false, 9, strings.Repeat("p", 125)})
	parts := [][]byte{
		stream(true, fr{false, false, 0, "x"}),
		pings[:100], pings[100:], // cut, so that it is kept behind the message
	}
	moves, held := 0, 0
	step := func(part []byte) {
		if _, _, err := r.Next(c, bytes.Clone(part)); err != nil {
			t.Fatal(err)
		}
		if r.Buffered() != held {
			moves, held = moves+1, r.Buffered()
		}
	}
	step(stream(true, fr{false, false, 1, "x"}))
	for range fragments {
		for _, part := range parts {
			step(part)
		}
	}
	if moves > 20 {
		t.Errorf("the buffer moved %d times", moves)
	}
	got := feed(t, &r, c, stream(true, fr{true, false, 0, "x"}), whole)
	if want := strings.Repeat("x", fragments+2); len(got.events) != 1 || got.events[0] != text(want) {
		t.Errorf("got %v", got)
	}
}
