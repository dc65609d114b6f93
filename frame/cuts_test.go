package frame_test

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"sluice/frame"
)

// setting is a combination of role, limit and extension for a stream.
type setting struct {
	client, tight, deflate, takeover bool
}

// settingOf reads the low bits of a fuzzed byte.
func settingOf(bits uint8) setting {
	return setting{bits&1 != 0, bits&2 != 0, bits&4 != 0, bits&8 != 0}
}

func (s setting) most() int {
	if s.tight {
		return 64
	}
	return 1 << 17
}

func (s setting) twin() *twin {
	return &twin{client: s.client, most: s.most(), deflate: s.deflate, takeover: s.takeover}
}

func (s setting) reader(t testing.TB) (*frame.Reader, *frame.Codec) {
	var r frame.Reader
	if s.deflate {
		r.SetDeflate(negotiated(t, s.client, s.takeover))
	}
	return &r, frame.NewCodec(frame.Config{Client: s.client, MaxMessageSize: s.most()})
}

// negotiated returns the Deflate of one end of a connection with whole windows.
func negotiated(t testing.TB, client, takeover bool) *frame.Deflate {
	cfg := frame.DeflateConfig{Enabled: true, ContextTakeover: takeover, ClientWindowBits: 15}
	d, answer := frame.NegotiateDeflate([]string{frame.ClientDeflateOffer(cfg)}, cfg)
	if client {
		var err error
		if d, err = frame.AcceptDeflateAnswer([]string{answer}, cfg); err != nil {
			t.Fatal(err)
		}
	}
	if d == nil {
		t.Fatal("nothing negotiated")
	}
	return d
}

// checkCuts compares what a Reader makes of the whole stream, of single bytes
// and of the given cuts with what the twin makes of it.
func checkCuts(t testing.TB, in, cuts []byte, s setting) {
	t.Helper()
	want := s.twin().run(in)
	sizes := map[string]func(int) int{
		"whole": whole,
		"bytes": bytewise,
		"cuts": func(i int) int {
			if len(cuts) == 0 {
				return 3
			}
			return int(cuts[i%len(cuts)]) + 1
		},
	}
	for name, size := range sizes {
		r, c := s.reader(t)
		got := feed(t, r, c, in, size)
		r.Release()
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v %s: % x\n got %v\nwant %v", s, name, in, got, want)
		}
	}
}

func FuzzReaderCuts(f *testing.F) {
	for i, tc := range readerCases {
		if in := stream(true, tc.frames...); len(in) < 1000 {
			f.Add(in, []byte{byte(i)}, uint8(0))
			f.Add(stream(false, tc.frames...), []byte{1, 0, 9}, uint8(1))
		}
	}
	for _, payload := range deflatedHello {
		f.Add(stream(true, fr{true, true, 1, payload}), []byte{2}, uint8(4))
		f.Add(stream(true, fr{true, true, 1, payload}, fr{false, true, 2, payload[:2]}, fr{true, false, 9, "ping"}, fr{true, false, 0, payload[2:]}), []byte{2}, uint8(12))
		f.Add(stream(false, fr{true, true, 1, payload}, fr{true, true, 1, "\xf2\x00\x11\x00\x00"}), []byte{7}, uint8(13))
	}
	bomb := stdDeflate([]byte(strings.Repeat("a", 3000)), nil)
	f.Add(stream(true, fr{true, true, 1, string(bomb)}), []byte{0}, uint8(6))
	f.Fuzz(func(t *testing.T, in, cuts []byte, bits uint8) {
		checkCuts(t, in, cuts, settingOf(bits))
	})
}

// TestReaderCuts is the fuzzer's little sister for every run of the tests: valid
// streams, most of them damaged in one place.
func TestReaderCuts(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		s := settingOf(uint8(rnd.UintN(16)))
		in := randomStream(rnd, s)
		if rnd.UintN(3) > 0 && len(in) > 0 {
			in[rnd.IntN(len(in))] ^= 1 << rnd.UintN(8)
		}
		cuts := make([]byte, rnd.UintN(5))
		for i := range cuts {
			cuts[i] = byte(rnd.UintN(40))
		}
		checkCuts(t, in, cuts, s)
	}
}

func randomStream(rnd *rand.Rand, s setting) []byte {
	var frames []fr
	for range rnd.UintN(5) {
		payload := strings.Repeat(texts[rnd.IntN(9)], int(rnd.UintN(6)))
		first := fr{op: frame.Opcode(1 + rnd.UintN(2))}
		if s.deflate && rnd.UintN(2) == 0 {
			first.rsv1 = true
			payload = string(stdDeflate([]byte(payload), nil))
		}
		for next := first; ; next = (fr{}) {
			cut := rnd.IntN(len(payload) + 1)
			if next.fin = rnd.UintN(2) == 0; next.fin {
				cut = len(payload)
			}
			next.payload, payload = payload[:cut], payload[cut:]
			frames = append(frames, next)
			if rnd.UintN(3) == 0 {
				frames = append(frames, fr{true, false, frame.OpPing, strings.Repeat("p", rnd.IntN(126))})
			}
			if next.fin {
				break
			}
		}
	}
	if rnd.UintN(2) == 0 {
		frames = append(frames, fr{true, false, frame.OpClose, closeBody(1000, "bye")})
	}
	return stream(!s.client, frames...)
}
