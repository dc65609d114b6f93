package frame_test

import (
	"bytes"
	"compress/flate"

	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"sluice/frame"
)

// deflatedHello are the examples of RFC 7692 7.2.3, each "Hello".
var deflatedHello = map[string]string{
	"7.2.3.1 one block":      "\xf2\x48\xcd\xc9\xc9\x07\x00",
	"7.2.3.3 stored":         "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
	"7.2.3.4 BFINAL":         "\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
	"7.2.3.5 two blocks":     "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
	"two final blocks":       "\x01\x02\x00\xfd\xffHe" + "\x01\x03\x00\xfc\xffllo" + "\x00",
	"no empty block at end":  "\xf3\x48\xcd\xc9\xc9\x07\x00",
	"history across BFINAL":  "\x01\x04\x00\xfb\xffHell" + "\xcb\x07\x00\x00",
	"empty blocks around it": "\x00\x00\x00\xff\xff" + "\xf2\x48\xcd\xc9\xc9\x07\x00" + "\x00\x00\xff\xff\x00",
}

// stdDeflate compresses with the standard library as RFC 7692 7.2.1 says.
func stdDeflate(p, dict []byte) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriterDict(&b, flate.DefaultCompression, dict)
	if err != nil {
		panic(err)
	}
	w.Write(p)
	w.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte("\x00\x00\xff\xff"))
}

// stdInflate decompresses with the standard library as RFC 7692 7.2.2 says.
func stdInflate(p, dict []byte) ([]byte, error) {
	src := io.MultiReader(bytes.NewReader(p), strings.NewReader(frame.InflateTail))
	return io.ReadAll(flate.NewReaderDict(src, dict))
}

// body returns the payload of the unmasked frame wire and whether it is
// compressed.
func body(t testing.TB, wire []byte) (payload []byte, compressed bool) {
	t.Helper()
	h, n, err := frame.ParseHeader(wire)
	if err != nil || n == 0 || int64(len(wire)-n) != h.Length || !h.Fin {
		t.Fatalf("not one frame: %+v %d %v in %d bytes", h, n, err, len(wire))
	}
	return wire[n:], h.RSV1
}

// sample returns n bytes that compress like the messages of an application.
func sample(n, seed int) []byte {
	var b bytes.Buffer
	for i := seed; b.Len() < n; i++ {
		fmt.Fprintf(&b, `{"type":"message","group":"room-%d","data":{"seq":%d,"x":%d.%d,"name":"user-%d"}}`, i%7, i, i*31%977, i*17%99, i%50)
	}
	return b.Bytes()[:n]
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// one reads one message from in.
func one(t testing.TB, r *frame.Reader, c *frame.Codec, in []byte) []byte {
	t.Helper()
	ev, n, err := r.Next(c, in)
	if err != nil || n != len(in) || ev.Kind != frame.KindMessage {
		t.Fatalf("kind %d, %d of %d bytes, err=%v", ev.Kind, n, len(in), err)
	}
	return ev.Payload
}

func TestInflateVectors(t *testing.T) {
	for name, payload := range deflatedHello {
		t.Run(name, func(t *testing.T) {
			checkCuts(t, stream(true, fr{true, true, 1, payload}), []byte{3}, setting{deflate: true})
			r, c := setting{deflate: true}.reader(t)
			if got := one(t, r, c, stream(true, fr{true, true, 1, payload})); string(got) != "Hello" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// RFC 7692 7.2.3.2: the second "Hello" refers to the first.
func TestInflateSharedWindow(t *testing.T) {
	r, c := setting{deflate: true, takeover: true}.reader(t)
	for _, payload := range []string{"\xf2\x48\xcd\xc9\xc9\x07\x00", "\xf2\x00\x11\x00\x00"} {
		if got := one(t, r, c, stream(true, fr{true, true, 1, payload})); string(got) != "Hello" {
			t.Errorf("got %q", got)
		}
	}
	// Without a context there is nothing to refer to.
	r, c = setting{deflate: true}.reader(t)
	got := feed(t, r, c, stream(true, fr{true, true, 1, "\xf2\x00\x11\x00\x00"}), whole)
	if got.failed != frame.CloseInvalidPayload {
		t.Errorf("got %v", got)
	}
}

func TestInflateEmpty(t *testing.T) {
	for _, payload := range []string{"\x00", "\x02\x00", "\x01\x00\x00\xff\xff", ""} {
		r, c := setting{deflate: true}.reader(t)
		if got := one(t, r, c, stream(true, fr{true, true, 1, payload})); len(got) != 0 {
			t.Errorf("% x: got %q", payload, got)
		}
	}
}

func TestInflateCorrupt(t *testing.T) {
	hello := deflatedHello["7.2.3.1 one block"]
	cases := map[string]string{
		"reserved block type":     "\x07",
		"cut inside a block":      hello[:3],
		"stored lengths disagree": "\x00\x05\x00\x00\x00Hello\x00",
		"stored block too short":  "\x00\x05\x00\xfa\xffHe",
		"final block too short":   "\x01\x06\x00\xf9\xffHe",
		"distance before start":   "\xf2\x00\x11\x00\x00",
		"tail sent as well":       hello + "\x00\x00\xff\xff",
		"not UTF-8":               string(stdDeflate([]byte("\xff"), nil)),
		"unfinished rune":         string(stdDeflate([]byte("abc\xe6\x97"), nil)),
		"too many final blocks":   strings.Repeat("\x01\x01\x00\xfe\xffx", frame.MaxFinalBlocks+1) + "\x00",
	}
	for name, payload := range cases {
		t.Run(name, func(t *testing.T) {
			in := stream(true, fr{true, true, 1, payload})
			checkCuts(t, in, nil, setting{deflate: true})
			r, c := setting{deflate: true}.reader(t)
			if got := feed(t, r, c, in, whole); got.failed != frame.CloseInvalidPayload {
				t.Errorf("got %v, want invalid payload", got)
			}
		})
	}
}

func TestReaderRefusesCompressedUnlessNegotiated(t *testing.T) {
	r, c := setting{}.reader(t)
	got := feed(t, r, c, stream(true, fr{true, true, 1, deflatedHello["7.2.3.1 one block"]}), whole)
	if got.failed != frame.CloseProtocolError {
		t.Errorf("got %v", got)
	}
}

// A bomb must cost the limit and not what it claims to hold.
func TestInflateBomb(t *testing.T) {
	const most = 10_000
	bomb := stdDeflate(make([]byte, 5<<20), nil)
	if len(bomb) > most {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	var r frame.Reader
	r.SetDeflate(negotiated(t, false, false))
	c := frame.NewCodec(frame.Config{MaxMessageSize: most})
	got := feed(t, &r, c, stream(true, fr{true, true, 2, string(bomb)}), whole)
	if got.failed != frame.CloseMessageTooBig {
		t.Errorf("got %v", got)
	}
	if c.InflateScratch() > most+1 {
		t.Errorf("%d bytes allocated for a limit of %d", c.InflateScratch(), most)
	}
}

// A loop does not keep the memory of its largest message for ever.
func TestInflateScratchIsBounded(t *testing.T) {
	var r frame.Reader
	r.SetDeflate(negotiated(t, false, false))
	c := frame.NewCodec(frame.Config{MaxMessageSize: 4 << 20})
	for _, size := range []int{3 << 20, 300} {
		one(t, &r, c, stream(true, fr{true, true, frame.OpText, string(stdDeflate(sample(size, 0), nil))}))
	}
	if got := c.InflateScratch(); got > 1<<20 {
		t.Errorf("%d bytes kept", got)
	}
}

// A message of the full size passes however badly it was compressed.
func TestInflateLimit(t *testing.T) {
	const most = 100_000
	for name, payload := range map[string][]byte{"noise": noise(most), "zeros": make([]byte, most)} {
		for _, more := range []int{0, 1} {
			var r frame.Reader
			r.SetDeflate(negotiated(t, false, false))
			c := frame.NewCodec(frame.Config{MaxMessageSize: most})
			payload := append(payload, make([]byte, more)...)
			got := feed(t, &r, c, stream(true, fr{true, true, 2, string(stdDeflate(payload, nil))}), whole)
			if ok := got.failed == 0; ok != (more == 0) || !ok && got.failed != frame.CloseMessageTooBig {
				t.Errorf("%s of the limit and %d: %v", name, more, got)
			}
		}
	}
}

var sizes = []int{16, 127, 128, 231, 4 << 10, 32<<10 - 1, 32 << 10, 32<<10 + 1, 64<<10 + 1, 200 << 10}

// What we compress, the standard library must be able to read, and the other
// way round, with and without context, above and below every window.
func TestDeflateAgainstStandardLibrary(t *testing.T) {
	for _, takeover := range []bool{false, true} {
		t.Run(fmt.Sprintf("takeover=%v", takeover), func(t *testing.T) {
			d := negotiated(t, false, takeover)
			c := frame.NewCodec(frame.Config{Deflate: frame.DeflateConfig{MinSize: 1}})
			var r frame.Reader
			r.SetDeflate(d)
			var sent, received []byte // the standard library's side of the context
			for round, size := range append(sizes, sizes...) {
				want := sample(size, round)

				payload, compressed := body(t, c.AppendMessage(nil, frame.OpText, want, d))
				if compressed {
					got, err := stdInflate(payload, sent)
					if err != nil || !bytes.Equal(got, want) {
						t.Fatalf("sent %d bytes: err=%v, %d bytes arrived", size, err, len(got))
					}
					payload = got
					if takeover {
						sent = append(sent, want...)
					}
				}
				if !bytes.Equal(payload, want) {
					t.Fatalf("sent %d bytes: something else arrived", size)
				}

				wire := stream(true, fr{true, true, frame.OpText, string(stdDeflate(want, received))})
				if got := one(t, &r, c, wire); !bytes.Equal(got, want) {
					t.Fatalf("received %d bytes: got something else", size)
				}
				if takeover {
					received = append(received, want...)
				}
			}
		})
	}
}

// Two of our own ends with context, over every pair of windows.
func TestDeflateWindows(t *testing.T) {
	for _, takeover := range []bool{false, true} {
		for bits := 8; bits <= 15; bits++ {
			t.Run(fmt.Sprintf("bits=%d,takeover=%v", bits, takeover), func(t *testing.T) {
				cfg := frame.DeflateConfig{Enabled: true, ContextTakeover: takeover, MinSize: 1, ClientWindowBits: max(bits, 9)}
				offer := fmt.Sprintf("%s; server_max_window_bits=%d", frame.ClientDeflateOffer(cfg), bits)
				atServer, answer := frame.NegotiateDeflate([]string{offer}, cfg)
				atClient, err := frame.AcceptDeflateAnswer([]string{answer}, cfg)
				if err != nil || atServer == nil || atClient == nil {
					t.Fatal(atServer, atClient, err)
				}
				server := frame.NewCodec(frame.Config{Deflate: cfg})
				client := frame.NewCodec(frame.Config{Deflate: cfg, Client: true})
				var up, down frame.Reader
				up.SetDeflate(atServer)
				down.SetDeflate(atClient)
				context := 0
				for round, size := range []int{100, 231, 4 << 10, 33 << 10, 100, 231, 9 << 10} {
					want := sample(size, round)
					wire := server.AppendMessage(nil, frame.OpBinary, want, atServer)
					if payload, compressed := body(t, wire); compressed {
						before := 0
						if takeover {
							before = context
						}
						if far := farthest(t, payload, before); far > 1<<bits {
							t.Fatalf("%d bytes: refers back by %d bytes", size, far)
						}
						context += size
					}
					if got := one(t, &down, client, wire); !bytes.Equal(got, want) {
						t.Fatalf("%d bytes down: got something else", size)
					}
					wire = client.AppendMessage(nil, frame.OpBinary, want, atClient)
					if got := one(t, &up, server, wire); !bytes.Equal(got, want) {
						t.Fatalf("%d bytes up: got something else", size)
					}
				}
			})
		}
	}
}

func TestDeflateTakeoverShrinks(t *testing.T) {
	d := negotiated(t, false, true)
	if !d.Takeover() || negotiated(t, false, false).Takeover() || (*frame.Deflate)(nil).Takeover() {
		t.Error("Takeover is wrong")
	}
	c := frame.NewCodec(frame.Config{Deflate: frame.DeflateConfig{MinSize: 1}})
	for _, size := range []int{100, 231} {
		c.AppendMessage(nil, frame.OpText, sample(size, 1), d)
		if wire := c.AppendMessage(nil, frame.OpText, sample(size, 2), d); len(wire) > size/3 {
			t.Errorf("the second message of %d bytes has %d on the wire", size, len(wire))
		}
	}
}

// Noise is sent plain, and the contexts of both ends stay together.
func TestDeflateFallsBackToPlain(t *testing.T) {
	at, peer := negotiated(t, false, true), negotiated(t, true, true)
	c := frame.NewCodec(frame.Config{Deflate: frame.DeflateConfig{MinSize: 100}})
	client := frame.NewCodec(frame.Config{Client: true})
	var r frame.Reader
	r.SetDeflate(peer)
	prefix := []byte("before")
	steps := []struct {
		payload    []byte
		compressed bool
	}{
		{sample(300, 1), true},
		{noise(300), false},
		{sample(99, 1), false}, // below MinSize
		{sample(300, 2), true},
		{noise(70_000), false},
		{sample(300, 3), true},
	}
	for i, step := range steps {
		wire := c.AppendMessage(prefix, frame.OpBinary, step.payload, at)
		if !bytes.HasPrefix(wire, prefix) {
			t.Fatalf("message %d: what was there is gone", i)
		}
		wire = wire[len(prefix):]
		if _, compressed := body(t, wire); compressed != step.compressed {
			t.Errorf("message %d: compressed=%v", i, compressed)
		}
		if got := one(t, &r, client, wire); !bytes.Equal(got, step.payload) {
			t.Fatalf("message %d: got something else", i)
		}
	}
}

// Coders are a megabyte each: they are made when needed and shared.
func TestCodersAreLazy(t *testing.T) {
	c := frame.NewCodec(frame.Config{Deflate: frame.DeflateConfig{MinSize: 1}})
	d := negotiated(t, false, false)
	small, _ := frame.NegotiateDeflate([]string{"permessage-deflate; server_max_window_bits=9"}, frame.DeflateConfig{Enabled: true})
	steps := []struct {
		name string
		d    *frame.Deflate
		size int
		want int
	}{
		{"not negotiated", nil, 300, 0},
		{"below the size a coder is good for", d, 100, 0},
		{"whole window", d, 300, 1},
		{"again", d, 70_000, 1},
		{"small window, fits", small, 300, 1},
		{"small window, does not fit", small, 3000, 2},
		{"again", small, 3000, 2},
	}
	for _, s := range steps {
		c.AppendMessage(nil, frame.OpText, sample(s.size, 0), s.d)
		if got := c.Coders(); got != s.want {
			t.Errorf("%s: %d coders, want %d", s.name, got, s.want)
		}
	}
}

func TestRemember(t *testing.T) {
	const keep = 1000
	remember := frame.Remember(keep)
	rnd := rand.New(rand.NewPCG(3, 4))
	var all []byte
	for range 200 {
		p := noise(int(rnd.UintN(uint(10 + rnd.UintN(1500)))))
		all = append(all, p...)
		got := remember(p)
		if want := all[max(0, len(all)-keep):]; !bytes.Equal(got, want) {
			t.Fatalf("after %d bytes: %d bytes kept, not the last ones", len(all), len(got))
		}
		if cap(got) > keep {
			t.Fatalf("%d bytes of memory for a window of %d", cap(got), keep)
		}
	}
}

func FuzzInflate(f *testing.F) {
	for _, payload := range deflatedHello {
		f.Add([]byte(payload), false)
	}
	for _, size := range []int{1, 100, 1000, 70_000} {
		f.Add(stdDeflate(sample(size, 0), nil), true)
	}
	f.Add([]byte("\x05\xe0\x81"), false)
	f.Fuzz(func(t *testing.T, payload []byte, tight bool) {
		// Twice, so that the second meets the context of the first.
		in := stream(true, fr{true, true, 2, string(payload)}, fr{true, true, 2, string(payload)})
		checkCuts(t, in, []byte{50}, setting{tight: tight, deflate: true})
		checkCuts(t, in, []byte{50}, setting{tight: tight, deflate: true, takeover: true})
	})
}

func FuzzDeflate(f *testing.F) {
	f.Add([]byte("Hello"), uint8(15), true)
	f.Add(sample(231, 0), uint8(8), true)
	f.Add(sample(5000, 0), uint8(9), false)
	f.Fuzz(func(t *testing.T, payload []byte, bits uint8, takeover bool) {
		bits = 8 + bits%8
		cfg := frame.DeflateConfig{Enabled: true, MinSize: 1, ContextTakeover: takeover}
		d, _ := frame.NegotiateDeflate([]string{fmt.Sprintf("permessage-deflate; server_max_window_bits=%d", bits)}, cfg)
		c := frame.NewCodec(frame.Config{Deflate: cfg})
		var context []byte
		for range 3 {
			wire, compressed := body(t, c.AppendMessage(nil, frame.OpBinary, payload, d))
			if !compressed {
				continue
			}
			got, err := stdInflate(wire, context)
			if err != nil || !bytes.Equal(got, payload) {
				t.Fatalf("err=%v, got % x, want % x", err, got, payload)
			}
			if far := farthest(t, wire, len(context)); far > 1<<bits {
				t.Fatalf("refers back by %d bytes with a window of %d bits", far, bits)
			}
			if takeover {
				context = append(context, payload...)
			}
		}
	})
}
