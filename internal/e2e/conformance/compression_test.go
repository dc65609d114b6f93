package conformance_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// perCase is the number of messages that a case of chapters 12 and 13 sends.
const perCase = 1000

// budget returns how many bytes of messages a case may send, or 0 for no bound.
func budget() int {
	switch {
	case os.Getenv("SLUICE_CONFORMANCE") == "full":
		return 0
	case testing.Short():
		return 64 * kib
	case race:
		return 128 * kib
	default:
		return 768 * kib
	}
}

// size is the size in bytes of the messages of a case and of their fragments; 0
// means one frame.
type size struct{ message, fragment int }

// sizes are the 18 cases of every section.
var sizes = []size{
	{16, 0}, {64, 0}, {256, 0}, {1024, 0}, {4096, 0}, {8192, 0}, {16384, 0}, {32768, 0}, {65536, 0}, {131072, 0},
	{8192, 256}, {16384, 256}, {32768, 256}, {65536, 256}, {131072, 256},
	{131072, 1024}, {131072, 4096}, {131072, 32768},
}

// suiteOffer is what the suite offers: the client lets the server decide about
// its half.
var suiteOffer = params{clientNoTakeover: true, clientBitsOffered: true}

func suiteOfferWith(serverNoTakeover bool, serverBits int) params {
	p := suiteOffer
	p.serverNoTakeover, p.serverBits = serverNoTakeover, serverBits
	return p
}

// compressionCase is a section of chapter 12 or 13: one kind of data, one list
// of offers.
type compressionCase struct {
	id     string
	sample sample
	offers []params
}

// TestCompression is chapters 12 and 13, against both kinds of server.
func TestCompression(t *testing.T) {
	var sections []compressionCase
	for i, s := range samples {
		sections = append(sections, compressionCase{fmt.Sprintf("12.%d", i+1), s, []params{suiteOffer}})
	}
	for i, offers := range [][]params{
		{suiteOffer},
		{suiteOfferWith(true, 0)},
		{suiteOfferWith(false, 9)},
		{suiteOfferWith(false, 15)},
		{suiteOfferWith(true, 9)},
		{suiteOfferWith(true, 15)},
		{suiteOfferWith(true, 9), suiteOfferWith(true, 0), suiteOffer},
	} {
		sections = append(sections, compressionCase{fmt.Sprintf("13.%d", i+1), samples[0], offers})
	}
	for _, n := range []*node{fresh, takeover} {
		t.Run(n.name, func(t *testing.T) {
			for _, section := range sections {
				section.run(t, n, sizes)
			}
		})
	}
}

// TestOffers is not in the suite: offers that it does not make, among them
// those by which the client keeps its own context.
func TestOffers(t *testing.T) {
	for _, n := range []*node{fresh, takeover} {
		t.Run(n.name, func(t *testing.T) {
			for i, offers := range [][]params{
				{{}},
				{{clientNoTakeover: true}},
				{{serverNoTakeover: true}},
				{{clientBitsOffered: true}},
				{{clientBitsOffered: true, clientBits: 9}},
				{{clientBitsOffered: true, clientBits: 15}},
				{{serverBits: 8}},
				{{serverBits: 9}},
				{{serverBits: 10, clientBitsOffered: true, clientBits: 10}},
				{{serverNoTakeover: true, clientNoTakeover: true, serverBits: 9, clientBitsOffered: true, clientBits: 9}},
				{{}, {serverNoTakeover: true}},
			} {
				(&compressionCase{fmt.Sprintf("offer%d", i+1), samples[3], offers}).run(t, n, []size{{16, 0}, {256, 0}, {8192, 0}, {65536, 0}, {131072, 1024}})
			}
		})
	}
}

func (cc *compressionCase) run(t *testing.T, n *node, sizes []size) {
	t.Helper()
	for i, size := range sizes {
		t.Run(fmt.Sprintf("%s.%d", cc.id, i+1), func(t *testing.T) {
			t.Parallel()
			results.count(t)
			count := perCase
			if b := budget(); b > 0 {
				count = min(count, max(2, b/size.message))
			}
			c := dialDeflate(t, n, cc.offers...)
			for k := range count {
				c.exchange(cc.sample, k, size)
			}
			c.close()
		})
	}
}

// dialDeflate opens a connection with compression. Sluice can meet every valid
// offer, so the answer must be to the first.
func dialDeflate(t *testing.T, n *node, offers ...params) *client {
	t.Helper()
	var header []string
	for _, o := range offers {
		header = append(header, o.String())
	}
	c, answer := dial(t, n, strings.Join(header, ", "))
	agreed, err := parseAnswer(answer)
	if err != nil {
		t.Fatal(err)
	}
	if !agreed.fits(offers[0]) {
		t.Fatalf("answer %q to offer %q", answer, header)
	}
	agreed.clientNoTakeover = agreed.clientNoTakeover || offers[0].clientNoTakeover
	c.deflate = newDeflate(agreed)
	return c
}

// exchange sends the k-th message of the sample and reads its echo.
func (c *client) exchange(s sample, k int, size size) {
	c.t.Helper()
	plain := s.message(k*size.message, size.message)
	f := frame{fin: true, rsv: rsv1, op: s.op, payload: c.deflate.compress(plain)}
	frames := []frame{f}
	if size.fragment > 0 {
		frames = f.fragments(size.fragment)
	}
	c.send(together, frames...)
	c.expect(message{s.op, plain})
}

// TestSeveralHeaders: offers may be spread over several header lines, among
// other extensions and offers that cannot be met.
func TestSeveralHeaders(t *testing.T) {
	results.count(t)
	c, answer := dial(t, fresh, "x-unknown; a=1, permessage-deflate; server_max_window_bits=16",
		`permessage-deflate; server_max_window_bits="9"; server_no_context_takeover`)
	agreed, err := parseAnswer(answer)
	if err != nil || agreed.serverBits != 9 {
		t.Fatalf("answer %q, %v", answer, err)
	}
	c.deflate = newDeflate(agreed)
	for k := range 10 {
		c.exchange(samples[0], k, size{4096, 0})
	}
	c.close()
}

// TestDeclinedOffers: an offer that is malformed or cannot be met is passed
// over, the connection works, and compressed messages on it break the protocol.
func TestDeclinedOffers(t *testing.T) {
	for _, tt := range []struct {
		name  string
		node  *node
		offer string
	}{
		{"off", plain, "permessage-deflate"},
		{"other", fresh, "x-webkit-deflate-frame"},
		{"unknown parameter", fresh, "permessage-deflate; level=9"},
		{"repeated parameter", fresh, "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9"},
		{"too few bits", fresh, "permessage-deflate; server_max_window_bits=7"},
		{"too many bits", fresh, "permessage-deflate; client_max_window_bits=16"},
		{"leading zero", fresh, "permessage-deflate; server_max_window_bits=09"},
		{"no bits", fresh, "permessage-deflate; server_max_window_bits"},
		{"value where none belongs", fresh, "permessage-deflate; server_no_context_takeover=1"},
		{"syntax", fresh, "permessage-deflate; =; server_max_window_bits=\"9"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			results.count(t)
			c, answer := dial(t, tt.node, tt.offer)
			if answer != "" {
				t.Fatalf("answer %q to %q", answer, tt.offer)
			}
			c.send(together, text(hello))
			c.expect(text(hello).echo())
			c.send(together, text("\xf2\x48\xcd\xc9\xc9\x07\x00").reserved(rsv1))
			c.expectClose(protocol)
		})
	}
}

// TestCompressedMessages is about single messages on the wire: the examples of
// RFC 7692 7.2.3, and what breaks its rules.
func TestCompressedMessages(t *testing.T) {
	helloFrame := text("\xf2\x48\xcd\xc9\xc9\x07\x00").reserved(rsv1)
	parts := helloFrame.fragments(3)
	answer := text("Hello").echo()
	newZeros := func(size int) frame {
		d := newDeflate(params{clientNoTakeover: true})
		return frame{fin: true, rsv: rsv1, op: opBinary, payload: d.compress(make([]byte, size))}
	}
	for _, tt := range []struct {
		name string
		testCase
	}{
		{"fixed codes", testCase{steps: send(helloFrame).gets(answer)}},
		{"fragments", testCase{steps: send(parts...).gets(answer)}},
		{"ping between fragments", testCase{steps: send(parts[0], ping("in between"), parts[1], parts[2]).
			gets(ping("in between").echo(), answer)}},
		{"byte by byte", testCase{steps: send(parts...).gets(answer), chop: 1}},
		{"stored", testCase{steps: send(text("\x00\x05\x00\xfa\xffHello\x00").reserved(rsv1)).gets(answer)}},
		{"final block", testCase{steps: send(text("\xf3\x48\xcd\xc9\xc9\x07\x00\x00").reserved(rsv1)).gets(answer)}},
		{"two blocks", testCase{steps: send(text("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00").reserved(rsv1)).gets(answer)}},
		{"empty", testCase{steps: send(text("\x00").reserved(rsv1)).gets(text("").echo())}},
		{"not compressed", testCase{steps: send(text("Hello")).echoes()}},
		{"largest", testCase{steps: send(newZeros(1 * mib)).gets(message{opBinary, make([]byte, 1*mib)})}},

		{"too big once inflated", testCase{steps: send(newZeros(1*mib + 1)), closes: tooBig}},
		{"corrupt", testCase{steps: send(text("\xff\xff\xff").reserved(rsv1)), closes: invalidText}},
		{"distance before the start", testCase{closes: invalidText,
			steps: send(helloFrame, text("\xf2\x00\x11\x00\x00").reserved(rsv1)).gets(answer)}},
		{"not UTF-8 once inflated", testCase{steps: send(text("\x00\x02\x00\xfd\xff\xc0\xaf\x00").reserved(rsv1)), closes: invalidText}},
		{"RSV1 on a continuation", testCase{steps: send(parts[0], parts[1].reserved(rsv1)), closes: protocol}},
		{"RSV1 on a ping", testCase{steps: send(ping("").reserved(rsv1)), closes: protocol}},
		{"RSV2", testCase{steps: send(text("Hello").reserved(2)), closes: protocol}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			results.count(t)
			tt.run(dialDeflate(t, fresh, params{}))
		})
	}
	t.Run("context takeover", func(t *testing.T) {
		t.Parallel()
		results.count(t)
		tc := testCase{steps: send(helloFrame, text("\xf2\x00\x11\x00\x00").reserved(rsv1)).gets(answer, answer)}
		tc.run(dialDeflate(t, takeover, params{}))
	})
}
