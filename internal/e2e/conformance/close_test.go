package conformance_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestClose is chapter 7 up to the codes: closing handshakes, whole and broken.
func TestClose(t *testing.T) {
	const world = "Hello World!"
	normal := closing(1000, "")
	large := text(strings.Repeat("BAsd7&jh23", 1<<18/10+1)[:1<<18])
	runCases(t, plain, []testCase{
		{id: "7.1.1", steps: send(text(world)).echoes()},
		{id: "7.1.2", steps: send(normal, frame{fin: true, op: opClose}), closes: 1000},
		{id: "7.1.3", steps: send(normal, ping("")), closes: 1000},
		{id: "7.1.4", steps: send(normal, text(world)), closes: 1000},
		{id: "7.1.5", steps: send(text(fragment1).open(), normal, continuation(fragment2)), closes: 1000},
		{id: "7.1.6", steps: send(large, text(world), normal, ping("")).gets(large.echo(), text(world).echo()), closes: 1000},
		{id: "7.3.1", steps: send(frame{fin: true, op: opClose}), closes: 1005},
		{id: "7.3.2", steps: send(frame{fin: true, op: opClose, payload: []byte("a")}), closes: protocol},
		{id: "7.3.3", steps: send(normal), closes: 1000},
		{id: "7.3.4", steps: send(closing(1000, world)), closes: 1000},
		{id: "7.3.5", steps: send(closing(1000, strings.Repeat("*", 123))), closes: 1000},
		{id: "7.3.6", steps: send(closing(1000, strings.Repeat("*", 124))), closes: protocol},
		{id: "7.5.1", steps: send(closing(1000, greek+"\xed\xa0\x80"+edited)), closes: invalidText},
	})
}

// TestCloseCodes is the rest of chapter 7: codes that may be on the wire are
// answered with themselves, others with a protocol error.
func TestCloseCodes(t *testing.T) {
	var cases []testCase
	for i, code := range []uint16{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999} {
		cases = append(cases, codeCase(fmt.Sprintf("7.7.%d", i+1), code, code))
	}
	for i, code := range []uint16{0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999} {
		cases = append(cases, codeCase(fmt.Sprintf("7.9.%d", i+1), code, protocol))
	}
	cases = append(cases, codeCase("7.13.1", 5000, protocol), codeCase("7.13.2", 65535, protocol))
	runCases(t, plain, cases)
}

// TestRegisteredCodes is about the codes that were registered after the suite
// was written, and the one that is reserved for clients' own use.
func TestRegisteredCodes(t *testing.T) {
	runCases(t, plain, []testCase{
		codeCase("1012", 1012, 1012),
		codeCase("1013", 1013, 1013),
		codeCase("1014", 1014, 1014),
		codeCase("1015", 1015, protocol),
	})
}

func codeCase(id string, code, answer uint16) testCase {
	return testCase{id: id, steps: send(closing(code, "")), closes: answer}
}
