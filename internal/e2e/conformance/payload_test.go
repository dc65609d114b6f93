package conformance_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
)

// sample is data of one kind, of which the messages of chapters 12 and 13 are
// cut one after the other, in a circle.
type sample struct {
	op   byte
	data func() []byte
}

// samples are of the kinds and sizes of the suite's files, in its order.
var samples = []sample{
	{opText, sync.OnceValue(jsonSample)},     // 12.1: large JSON document
	{opBinary, sync.OnceValue(bitmapSample)}, // 12.2: 512 x 512 grey bitmap
	{opBinary, sync.OnceValue(verseSample)},  // 12.3: human-readable text
	{opText, sync.OnceValue(htmlSample)},     // 12.4: large HTML page
	{opBinary, sync.OnceValue(pdfSample)},    // 12.5: compressed already, with islands of text
}

// message returns the bytes [from, from+size) of the circle.
func (s sample) message(from, size int) []byte {
	data := s.data()
	m := make([]byte, 0, size)
	for len(m) < size {
		at := (from + len(m)) % len(data)
		m = append(m, data[at:min(len(data), at+size-len(m))]...)
	}
	return m
}

func source(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

func jsonSample() []byte {
	r := source(1)
	var b bytes.Buffer
	for b.Len() < 194056 {
		fmt.Fprintf(&b, `{"id":%d,"guid":"%016x","active":%t,"balance":"$%d.%02d","name":%q,"tags":[%q,%q],"about":%q},`+"\n",
			b.Len(), r.Uint64(), r.IntN(2) == 0, r.IntN(4000), r.IntN(100), words(r, 2), words(r, 1), words(r, 1), words(r, 25))
	}
	return b.Bytes()[:194056]
}

func bitmapSample() []byte {
	r := source(2)
	b := append([]byte("BM"), make([]byte, 1076)...)
	for y := range 512 {
		for x := range 512 {
			b = append(b, byte(x/4+y/5+r.IntN(7)))
		}
	}
	return b
}

func verseSample() []byte {
	r := source(3)
	var b bytes.Buffer
	for b.Len() < 222218 {
		fmt.Fprintf(&b, "  %s,\r\n  %s.\r\n", words(r, 6), words(r, 7))
	}
	return b.Bytes()[:222218]
}

func htmlSample() []byte {
	r := source(4)
	var b bytes.Buffer
	for b.Len() < 263527 {
		fmt.Fprintf(&b, `<tr class="row-%d"><td><a href="/item/%d.html" title="%s">%s</a></td><td>%s</td></tr>`+"\n",
			r.IntN(2), r.IntN(1e6), words(r, 2), words(r, 3), words(r, 12))
	}
	return b.Bytes()[:263527]
}

func pdfSample() []byte {
	r := source(5)
	var b []byte
	for i := 0; len(b) < 1042328; i++ {
		b = fmt.Appendf(b, "%d 0 obj\n<< /Length 4096 /Filter /FlateDecode >>\nstream\n", i)
		for range 512 {
			b = binary.LittleEndian.AppendUint64(b, r.Uint64())
		}
		b = append(b, "\nendstream\nendobj\n"...)
	}
	return b[:1042328]
}

// words returns n words of a made-up language; short ones are frequent.
func words(r *rand.Rand, n int) string {
	syllables := []string{"ma", "ri", "to", "ken", "sul", "a", "ve", "nor", "di", "es", "lu", "pra"}
	var s strings.Builder
	for i := range n {
		if i > 0 {
			s.WriteByte(' ')
		}
		for range 1 + r.IntN(1+r.IntN(4)) {
			s.WriteString(syllables[r.IntN(len(syllables))])
		}
	}
	return s.String()
}
