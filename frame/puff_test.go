package frame_test

import "testing"

// puff is a slow reader of RFC 1951 that follows Mark Adler's description and
// keeps only what the tests of the window want to know: how far back a stream
// refers. It trusts the stream to be valid.
type puff struct {
	t        testing.TB
	in       []byte
	bit      int
	out, far int
}

// farthest returns the longest distance in a compressed message that follows
// context bytes of earlier ones.
func farthest(t testing.TB, payload []byte, context int) int {
	t.Helper()
	p := &puff{t: t, in: append(append([]byte(nil), payload...), "\x00\x00\xff\xff"...), out: context}
	for p.bit < 8*len(p.in) {
		p.block()
	}
	return p.far
}

func (p *puff) bits(n int) int {
	v := 0
	for i := range n {
		if p.bit >= 8*len(p.in) {
			p.t.Fatal("puff: the stream is cut")
		}
		v |= int(p.in[p.bit/8]>>(p.bit%8)&1) << i
		p.bit++
	}
	return v
}

func (p *puff) block() {
	p.bits(1)
	switch p.bits(2) {
	case 0:
		p.bit = (p.bit + 7) / 8 * 8
		n := p.bits(16)
		p.bits(16)
		p.bit += 8 * n
		p.out += n
	case 1:
		lengths := make([]int, 288)
		for i := range lengths {
			lengths[i] = 8
			if i >= 144 && i < 256 {
				lengths[i] = 9
			} else if i >= 256 && i < 280 {
				lengths[i] = 7
			}
		}
		distances := make([]int, 30)
		for i := range distances {
			distances[i] = 5
		}
		p.codes(newHuffman(lengths), newHuffman(distances))
	case 2:
		p.dynamic()
	default:
		p.t.Fatal("puff: reserved block type")
	}
}

func (p *puff) dynamic() {
	literals, distances, codes := p.bits(5)+257, p.bits(5)+1, p.bits(4)+4
	order := [19]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
	lengths := make([]int, 19)
	for _, at := range order[:codes] {
		lengths[at] = p.bits(3)
	}
	h := newHuffman(lengths)
	lengths = nil
	repeat := func(v, n int) {
		for range n {
			lengths = append(lengths, v)
		}
	}
	for len(lengths) < literals+distances {
		switch symbol := p.symbol(h); symbol {
		case 16:
			repeat(lengths[len(lengths)-1], 3+p.bits(2))
		case 17:
			repeat(0, 3+p.bits(3))
		case 18:
			repeat(0, 11+p.bits(7))
		default:
			repeat(symbol, 1)
		}
	}
	p.codes(newHuffman(lengths[:literals]), newHuffman(lengths[literals:]))
}

func (p *puff) codes(literals, distances huffman) {
	for {
		symbol := p.symbol(literals)
		switch {
		case symbol < 256:
			p.out++
		case symbol == 256:
			return
		default:
			length := extended(symbol-257, 4, 3, p)
			if symbol == 285 {
				length = 258
			}
			distance := extended(p.symbol(distances), 2, 1, p)
			if distance > p.out {
				p.t.Fatalf("puff: refers back by %d bytes after %d", distance, p.out)
			}
			p.far = max(p.far, distance)
			p.out += length
		}
	}
}

// extended returns the value of a length or distance symbol: the first 2*steps
// symbols stand for themselves, and from there on every steps of them have one
// extra bit more.
func extended(symbol, steps, base int, p *puff) int {
	if symbol == 28 && steps == 4 {
		return 0 // length 258, without extra bits
	}
	if symbol < 2*steps {
		return base + symbol
	}
	extra := symbol/steps - 1
	return base + (steps+symbol%steps)<<extra + p.bits(extra)
}

// huffman is a canonical code by length and value.
type huffman map[[2]int]int

func newHuffman(lengths []int) huffman {
	h := huffman{}
	code := 0
	for length := 1; length <= 15; length++ {
		for symbol, l := range lengths {
			if l == length {
				h[[2]int{length, code}] = symbol
				code++
			}
		}
		code <<= 1
	}
	return h
}

func (p *puff) symbol(h huffman) int {
	code := 0
	for length := 1; length <= 15; length++ {
		code = code<<1 | p.bits(1)
		if symbol, ok := h[[2]int{length, code}]; ok {
			return symbol
		}
	}
	p.t.Fatal("puff: no such code")
	return 0
}
