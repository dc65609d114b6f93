package conformance_test

import (
	"fmt"
	"strings"
	"testing"
)

// Payloads of chapters 1 to 5.
const (
	hello     = "Hello, world!"
	notText   = "\x00\xff\xfe\xfd\xfc\xfb\x00\xff"
	protocol  = 1002 // what every violation of the framing is answered with
	fragment1 = "fragment1"
	fragment2 = "fragment2"
)

func blob(s string) frame { return frame{fin: true, op: opBinary, payload: []byte(s)} }

// TestFraming is chapter 1: messages at the edges of the three length fields.
func TestFraming(t *testing.T) {
	var cases []testCase
	for i, one := range []func(size int) frame{
		func(size int) frame { return text(strings.Repeat("*", size)) },
		func(size int) frame { return blob(strings.Repeat("\xfe", size)) },
	} {
		for j, size := range []int{0, 125, 126, 127, 128, 65535, 65536, 65536} {
			tc := testCase{id: fmt.Sprintf("1.%d.%d", i+1, j+1), steps: send(one(size)).echoes()}
			if j == 7 {
				tc.chop = 997
			}
			cases = append(cases, tc)
		}
	}
	runCases(t, plain, cases)
}

// TestPings is chapter 2.
func TestPings(t *testing.T) {
	longest := strings.Repeat("\xfe", 125)
	var ten []frame
	for i := range 10 {
		ten = append(ten, ping(fmt.Sprintf("payload-%d", i)))
	}
	runCases(t, plain, []testCase{
		{id: "2.1", steps: send(ping("")).echoes()},
		{id: "2.2", steps: send(ping("Hello, world!")).echoes()},
		{id: "2.3", steps: send(ping(notText)).echoes()},
		{id: "2.4", steps: send(ping(longest)).echoes()},
		{id: "2.5", steps: send(ping(longest + "\xfe")), closes: protocol},
		{id: "2.6", steps: send(ping(longest)).echoes(), chop: 1},
		{id: "2.7", steps: send(pong(""))},
		{id: "2.8", steps: send(pong("unsolicited pong payload"))},
		{id: "2.9", steps: send(pong("unsolicited pong payload"), ping("ping payload")).gets(ping("ping payload").echo())},
		{id: "2.10", steps: send(ten...).echoes()},
		{id: "2.11", steps: send(ten...).echoes(), chop: 1},
	})
}

// TestReservedBits is chapter 3: no extension gave the bits a meaning.
func TestReservedBits(t *testing.T) {
	// The echo of what came before must still arrive; the pong must not.
	within := func(bits byte) script {
		return send(text(hello), text(hello).reserved(bits), ping("")).gets(text(hello).echo())
	}
	runCases(t, plain, []testCase{
		{id: "3.1", steps: send(text(hello).reserved(1)), closes: protocol},
		{id: "3.2", steps: within(2), closes: protocol},
		{id: "3.3", steps: within(3), chop: perFrame, closes: protocol},
		{id: "3.4", steps: within(4), chop: 1, closes: protocol},
		{id: "3.5", steps: send(blob(notText).reserved(5)), closes: protocol},
		{id: "3.6", steps: send(ping(hello).reserved(6)), closes: protocol},
		{id: "3.7", steps: send(closing(1000, "").reserved(7)), closes: protocol},
	})
}

// TestOpcodes is chapter 4: reserved opcodes, data and control.
func TestOpcodes(t *testing.T) {
	var cases []testCase
	for i, first := range []byte{3, 11} {
		for j := range 5 {
			odd := frame{fin: true, op: first + byte(j)}
			if j == 1 || j == 3 || j == 4 {
				odd.payload = []byte(hello)
			}
			tc := testCase{id: fmt.Sprintf("4.%d.%d", i+1, j+1), closes: protocol}
			if j < 2 {
				tc.steps = send(odd)
			} else {
				tc.steps = send(text(hello), odd, ping("")).gets(text(hello).echo())
			}
			if j == 4 {
				tc.chop = 1
			}
			cases = append(cases, tc)
		}
	}
	runCases(t, plain, cases)
}

// TestFragmentation is chapter 5.
func TestFragmentation(t *testing.T) {
	begin, end := text(fragment1).open(), continuation(fragment2)
	both := text(fragment1 + fragment2).echo()
	cases := []testCase{
		{id: "5.1", steps: send(ping(fragment1).open(), end), closes: protocol},
		{id: "5.2", steps: send(pong(fragment1).open(), end), closes: protocol},
	}
	// The same in one write, in one write per frame and byte by byte.
	for i, chop := range []int{together, perFrame, 1} {
		stray := continuation("non-continuation payload")
		cases = append(cases,
			testCase{id: fmt.Sprintf("5.%d", 3+i), chop: chop, steps: send(begin, end).gets(both)},
			testCase{id: fmt.Sprintf("5.%d", 6+i), chop: chop,
				steps: send(begin, ping("ping payload"), end).gets(ping("ping payload").echo(), both)},
			testCase{id: fmt.Sprintf("5.%d", 9+i), chop: chop, closes: protocol,
				steps: send(stray, text(hello))},
			testCase{id: fmt.Sprintf("5.%d", 12+i), chop: chop, closes: protocol,
				steps: send(stray.open(), text(hello))},
		)
	}
	nothing := continuation(fragment1)
	// The first pong must come while the message is unfinished.
	interleaved := send(begin, end.open(), ping("pongme 1!")).
		gets(ping("pongme 1!").echo()).
		then(continuation("fragment3").open(), continuation("fragment4").open(), ping("pongme 2!"), continuation("fragment5")).
		gets(ping("pongme 2!").echo(), text("fragment1fragment2fragment3fragment4fragment5").echo())
	cases = append(cases, []testCase{
		{id: "5.15", closes: protocol,
			steps: send(begin, end, continuation("fragment3").open(), text("fragment4")).gets(both)},
		{id: "5.16", closes: protocol,
			steps: send(nothing.open(), begin, end, nothing.open(), begin, end)},
		{id: "5.17", closes: protocol,
			steps: send(nothing, begin, end, nothing, begin, end)},
		{id: "5.18", closes: protocol, steps: send(begin, text(fragment2))},
		{id: "5.19", steps: interleaved},
		{id: "5.20", steps: interleaved, chop: perFrame},
	}...)
	runCases(t, plain, cases)
}
