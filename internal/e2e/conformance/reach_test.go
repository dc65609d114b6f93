package conformance_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"testing"
)

// reach returns the largest distance by which a DEFLATE stream (RFC 1951)
// refers back. compress/flate cannot tell whether a sender keeps to a window
// smaller than 32 KiB; this can. It decodes the symbols only, and ends with
// the input.
func reach(p []byte) (farthest int, err error) {
	defer func() {
		if broken, ok := recover().(errBits); ok {
			err = broken
		}
	}()
	b := &bitReader{p: p}
	for b.left() >= 3 {
		b.take(1) // BFINAL; more may follow in a message
		switch b.take(2) {
		case 0:
			b.at = (b.at + 7) &^ 7
			length := b.take(16)
			b.take(16)
			b.at += 8 * length
		case 1:
			farthest = max(farthest, b.block(fixedCodes()))
		case 2:
			farthest = max(farthest, b.block(b.dynamicCodes()))
		default:
			panic(errBits("reserved block type"))
		}
	}
	return farthest, nil
}

// errBits is what is wrong with a stream.
type errBits string

func (e errBits) Error() string { return "deflate: " + string(e) }

// bitReader reads bits, lowest first.
type bitReader struct {
	p  []byte
	at int // in bits
}

func (b *bitReader) left() int { return 8*len(b.p) - b.at }

func (b *bitReader) take(n int) (v int) {
	if b.left() < n {
		panic(errBits("input ends within a block"))
	}
	for i := range n {
		v |= int(b.p[b.at/8]>>(b.at%8)&1) << i
		b.at++
	}
	return v
}

// block reads a compressed block.
func (b *bitReader) block(literals, distances huffman) (farthest int) {
	for {
		switch symbol := b.symbol(literals); {
		case symbol < 256:
		case symbol == 256:
			return farthest
		case symbol < 286:
			b.take(lengthExtra(symbol))
			d := b.symbol(distances)
			if d > 29 {
				panic(errBits("reserved distance"))
			}
			extra := max(0, d/2-1)
			base := d
			if d >= 4 {
				base = (2 + d%2) << extra
			}
			farthest = max(farthest, base+b.take(extra)+1)
		default:
			panic(errBits("reserved length"))
		}
	}
}

// lengthExtra returns how many bits follow a length symbol.
func lengthExtra(symbol int) int {
	if symbol < 265 || symbol == 285 {
		return 0
	}
	return (symbol - 261) / 4
}

// huffman is a canonical code: how many codes there are of each length, and the
// symbols in the order of their codes.
type huffman struct {
	counts  [16]int
	symbols []int
}

func newHuffman(lengths []int) (h huffman) {
	for length := 1; length < len(h.counts); length++ {
		for symbol, l := range lengths {
			if l == length {
				h.counts[length]++
				h.symbols = append(h.symbols, symbol)
			}
		}
	}
	return h
}

func (b *bitReader) symbol(h huffman) int {
	code, first, index := 0, 0, 0
	for _, count := range h.counts[1:] {
		code |= b.take(1)
		if code-first < count {
			return h.symbols[index+code-first]
		}
		index += count
		first, code = (first+count)<<1, code<<1
	}
	panic(errBits("no such code"))
}

func fixedCodes() (literals, distances huffman) {
	lengths := make([]int, 288)
	for i := range lengths {
		switch {
		case i < 144, i >= 280:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		default:
			lengths[i] = 7
		}
	}
	return newHuffman(lengths), newHuffman(bytesOf(5, 30))
}

func bytesOf(v, n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = v
	}
	return all
}

// dynamicCodes reads the codes at the head of a block (RFC 1951 3.2.7).
func (b *bitReader) dynamicCodes() (literals, distances huffman) {
	order := [19]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
	nLiterals, nDistances, nCodes := b.take(5)+257, b.take(5)+1, b.take(4)+4
	var lengths [19]int
	for _, symbol := range order[:nCodes] {
		lengths[symbol] = b.take(3)
	}
	code := newHuffman(lengths[:])
	var all []int
	for len(all) < nLiterals+nDistances {
		switch symbol := b.symbol(code); symbol {
		case 16:
			if len(all) == 0 {
				panic(errBits("repeat of nothing"))
			}
			all = append(all, bytesOf(all[len(all)-1], 3+b.take(2))...)
		case 17:
			all = append(all, bytesOf(0, 3+b.take(3))...)
		case 18:
			all = append(all, bytesOf(0, 11+b.take(7))...)
		default:
			all = append(all, symbol)
		}
	}
	return newHuffman(all[:nLiterals]), newHuffman(all[nLiterals : nLiterals+nDistances])
}

// TestReach keeps the measure honest, and the client: streams with a match at a
// known distance, and what the client makes for a small window.
func TestReach(t *testing.T) {
	for _, tt := range []struct {
		distance, level int
	}{{300, flate.BestSpeed}, {513, flate.DefaultCompression}, {5000, flate.DefaultCompression}, {32000, flate.BestCompression}} {
		var stream bytes.Buffer
		w, err := flate.NewWriter(&stream, tt.level)
		if err != nil {
			t.Fatal(err)
		}
		random := noise()[:tt.distance]
		w.Write(random)
		w.Write(random)
		w.Flush()
		if got, err := reach(stream.Bytes()); got != tt.distance || err != nil {
			t.Errorf("distance %d: reach %d, %v", tt.distance, got, err)
		}
	}
	d := newDeflate(params{clientBits: 9})
	for k := range 100 {
		if got, err := reach([]byte(string(d.compress(samples[0].message(100*k, 700))) + cut)); got > 512 || err != nil {
			t.Errorf("our own compression with a window of 512: reach %d, %v", got, err)
		}
	}
	if _, err := reach([]byte("\xff\xff")); !errors.As(err, new(errBits)) {
		t.Errorf("of garbage: %v", err)
	}
}
