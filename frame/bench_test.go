package frame_test

import (
	"fmt"
	"strings"
	"testing"

	"sluice/frame"
)

func BenchmarkParseHeader(b *testing.B) {
	wire := stream(true, fr{true, false, 1, strings.Repeat("x", 128)})
	b.ReportAllocs()
	for b.Loop() {
		if _, n, err := frame.ParseHeader(wire); n == 0 || err != nil {
			b.Fatal(err)
		}
	}
}

// benchmarkRead reads wire again and again in place. Its masking keys must be
// zero, so that what is unmasked once is as good as before; the work is the
// same for any key.
func benchmarkRead(b *testing.B, wire []byte, events int, d *frame.Deflate) {
	c := frame.NewCodec(frame.Config{})
	var r frame.Reader
	r.SetDeflate(d)
	b.SetBytes(int64(len(wire)))
	b.ReportAllocs()
	for b.Loop() {
		rest, got := wire, 0
		for {
			ev, n, err := r.Next(c, rest)
			if err != nil {
				b.Fatal(err)
			}
			if ev.Kind == frame.KindNone {
				break
			}
			rest = rest[n:]
			got++
		}
		if got != events {
			b.Fatalf("%d events", got)
		}
	}
}

// zeroKeyed is one masked frame whose key is zero.
func zeroKeyed(h frame.Header, payload []byte) []byte {
	h.Masked, h.Length = true, int64(len(payload))
	return append(frame.AppendHeader(nil, h), payload...)
}

// BenchmarkRead parses, unmasks and checks frames that lie whole in the input.
func BenchmarkRead(b *testing.B) {
	for _, size := range []int{128, 4 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("binary=%d", size), func(b *testing.B) {
			benchmarkRead(b, zeroKeyed(frame.Header{Fin: true, Op: frame.OpBinary}, sample(size, 0)), 1, nil)
		})
		b.Run(fmt.Sprintf("ascii=%d", size), func(b *testing.B) {
			benchmarkRead(b, zeroKeyed(frame.Header{Fin: true, Op: frame.OpText}, sample(size, 0)), 1, nil)
		})
		b.Run(fmt.Sprintf("greek=%d", size), func(b *testing.B) {
			payload := []byte(strings.Repeat("κόσμε ", size/12))
			benchmarkRead(b, zeroKeyed(frame.Header{Fin: true, Op: frame.OpText}, payload), 1, nil)
		})
	}
}

// BenchmarkReadPipelined reads sixteen small frames out of one input.
func BenchmarkReadPipelined(b *testing.B) {
	var wire []byte
	for range 16 {
		wire = append(wire, zeroKeyed(frame.Header{Fin: true, Op: frame.OpBinary}, sample(32, 0))...)
	}
	benchmarkRead(b, wire, 16, nil)
}

// BenchmarkReadFragmented joins sixteen fragments into one text.
func BenchmarkReadFragmented(b *testing.B) {
	for _, size := range []int{64, 4 << 10} {
		b.Run(fmt.Sprintf("16x%d", size), func(b *testing.B) {
			var wire []byte
			for i := range 16 {
				h := frame.Header{Fin: i == 15}
				if i == 0 {
					h.Op = frame.OpText
				}
				wire = append(wire, zeroKeyed(h, sample(size, i))...)
			}
			benchmarkRead(b, wire, 1, nil)
		})
	}
}

func BenchmarkReadCompressed(b *testing.B) {
	for _, size := range []int{231, 4 << 10, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			wire := zeroKeyed(frame.Header{Fin: true, RSV1: true, Op: frame.OpText}, stdDeflate(sample(size, 0), nil))
			benchmarkRead(b, wire, 1, negotiated(b, false, false))
		})
	}
}

func BenchmarkAppendMessage(b *testing.B) {
	for _, size := range []int{128, 4 << 10} {
		b.Run(fmt.Sprintf("plain=%d", size), func(b *testing.B) { benchmarkAppend(b, size, nil) })
	}
	for _, size := range []int{231, 4 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("deflate=%d", size), func(b *testing.B) { benchmarkAppend(b, size, negotiated(b, false, false)) })
		b.Run(fmt.Sprintf("takeover=%d", size), func(b *testing.B) { benchmarkAppend(b, size, negotiated(b, false, true)) })
	}
}

func benchmarkAppend(b *testing.B, size int, d *frame.Deflate) {
	c := frame.NewCodec(frame.Config{Deflate: frame.DeflateConfig{MinSize: 1}})
	var messages [16][]byte
	for i := range messages {
		messages[i] = sample(size, i)
	}
	var out []byte
	for _, m := range messages {
		out = c.AppendMessage(out[:0], frame.OpText, m, d)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		out = c.AppendMessage(out[:0], frame.OpText, messages[i%len(messages)], d)
		i++
	}
	b.ReportMetric(float64(len(out)), "wire-bytes")
}

func BenchmarkSeal(b *testing.B) {
	buf := append(make([]byte, frame.HeadRoom), sample(231, 0)...)
	b.ReportAllocs()
	for b.Loop() {
		frame.Seal(frame.OpText, buf)
	}
}

// BenchmarkDeflated makes a message and its twin, then asks for it again as
// every further recipient does.
func BenchmarkDeflated(b *testing.B) {
	c := frame.NewCodec(frame.Config{Deflate: frame.DeflateConfig{MinSize: 1}})
	d := negotiated(b, false, false)
	buf := append(make([]byte, frame.HeadRoom), sample(231, 0)...)
	b.Run("first", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			frame.Seal(frame.OpText, buf).Deflated(c, d)
		}
	})
	b.Run("again", func(b *testing.B) {
		m := frame.Seal(frame.OpText, buf)
		b.ReportAllocs()
		for b.Loop() {
			m.Deflated(c, d)
		}
	})
}
