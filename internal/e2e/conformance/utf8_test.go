package conformance_test

import (
	"fmt"
	"strings"
	"testing"
)

const (
	invalidText = 1007

	greek    = "κ\u1f79σμε"       // the suite's, with an accented letter of three bytes
	beyond   = "\xf4\x90\x80\x80" // U+110000; its second byte is the first bad one
	edited   = "edited"
	greeting = "Hello-µ@ßöäüàá-UTF-8!!"
)

// TestUTF8 is 6.1 to 6.3: text cut into fragments.
func TestUTF8(t *testing.T) {
	surrogate := text(greek + "\xed\xa0\x80" + edited)
	runCases(t, plain, []testCase{
		{id: "6.1.1", steps: send(text("")).echoes()},
		{id: "6.1.2", steps: send(text("").open(), continuation("").open(), continuation("")).gets(text("").echo())},
		{id: "6.1.3", steps: send(text("").open(), continuation("middle frame payload").open(), continuation("")).
			gets(text("middle frame payload").echo())},
		{id: "6.2.1", steps: send(text(greeting)).echoes()},
		{id: "6.2.2", steps: send(text("Hello-µ@ßöä").open(), continuation("üàá-UTF-8!!")).gets(text(greeting).echo())},
		{id: "6.2.3", steps: send(text(greeting).fragments(1)...).gets(text(greeting).echo())},
		{id: "6.2.4", steps: send(text(greek).fragments(1)...).gets(text(greek).echo())},
		{id: "6.3.1", steps: send(surrogate), closes: invalidText},
		{id: "6.3.2", steps: send(surrogate.fragments(1)...), closes: invalidText},
	})
}

// TestFailFast is 6.4: the connection must fail at the bad byte. The rest of
// the message is never sent, so a server that waits for it never answers. A
// ping shows that it accepted the part before.
func TestFailFast(t *testing.T) {
	runCases(t, plain, []testCase{
		{id: "6.4.1", closes: invalidText, steps: send(text(greek).open(), ping("")).gets(ping("").echo()).
			then(continuation(beyond).open())},
		{id: "6.4.2", closes: invalidText, steps: send(text(greek+beyond[:1]).open(), ping("")).gets(ping("").echo()).
			then(continuation(beyond[1:2]).open())},
	})
	for _, tc := range []struct {
		id    string
		parts []string
	}{
		{"6.4.3", []string{greek, beyond}},
		{"6.4.4", []string{greek + beyond[:1], beyond[1:2]}},
	} {
		t.Run(tc.id, func(t *testing.T) {
			t.Parallel()
			results.count(t)
			c, _ := dial(t, plain)
			wire := text(greek + beyond + edited).append(nil)
			at := len(wire) - len(greek+beyond+edited)
			for _, part := range tc.parts {
				c.write(wire[:at+len(part)])
				wire, at = wire[at+len(part):], 0
			}
			c.expectClose(invalidText)
		})
	}
}

// TestUTF8Sequences is 6.5 to 6.23: whole messages, in the groups of Markus
// Kuhn's decoder stress test.
func TestUTF8Sequences(t *testing.T) {
	var cases []testCase
	for i, group := range sequences() {
		for j, s := range group.texts {
			tc := testCase{id: fmt.Sprintf("6.%d.%d", 5+i, 1+j), steps: send(text(s)).echoes()}
			if !group.valid(j) {
				tc.steps, tc.closes = send(text(s)), invalidText
			}
			cases = append(cases, tc)
		}
	}
	runCases(t, plain, cases)
}

// group is one section of the sequences.
type group struct {
	name  string
	valid func(index int) bool
	texts []string
}

func all(int) bool  { return true }
func none(int) bool { return false }

// sequences returns the groups in the order of the suite, 6.5 first.
func sequences() []group {
	prefixes := make([]string, len(greek))
	for i := range prefixes {
		prefixes[i] = greek[:i+1]
	}
	truncated := []string{
		"\xc0", "\xe0\x80", "\xf0\x80\x80", "\xf8\x80\x80\x80", "\xfc\x80\x80\x80\x80",
		"\xdf", "\xef\xbf", "\xf7\xbf\xbf", "\xfb\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf",
	}
	return []group{
		{"some valid sequences", all, []string{
			"hello\x24world", "hello\xc2\xa2world", "hello\xe2\x82\xacworld", "hello\xf0\xa4\xad\xa2world", greek,
		}},
		{"prefixes of a valid string", func(i int) bool { return wholeRunes(greek, i+1) }, prefixes},
		{"first sequence of a length", all, []string{"\x00", "\xc2\x80", "\xe0\xa0\x80", "\xf0\x90\x80\x80"}},
		{"first sequence of 5 and 6 bytes", none, []string{"\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80"}},
		{"last sequence of a length", all, []string{"\x7f", "\xdf\xbf", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf"}},
		{"last sequence of 4, 5 and 6 bytes", none, []string{
			"\xf7\xbf\xbf\xbf", "\xfb\xbf\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf\xbf",
		}},
		{"other boundaries", func(i int) bool { return i < 4 }, []string{
			"\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbd", "\xf4\x8f\xbf\xbf", beyond,
		}},
		{"unexpected continuation bytes", none, []string{
			"\x80", "\xbf", "\x80\xbf", "\x80\xbf\x80", "\x80\xbf\x80\xbf", "\x80\xbf\x80\xbf\x80",
			"\x80\xbf\x80\xbf\x80\xbf", bytesFrom(0x80, 0xbe, ""),
		}},
		{"lonely start bytes", none, []string{
			bytesFrom(0xc0, 0xde, " "), bytesFrom(0xe0, 0xee, " "), bytesFrom(0xf0, 0xf6, " "),
			bytesFrom(0xf8, 0xfa, " "), bytesFrom(0xfc, 0xfc, " "),
		}},
		{"last continuation byte missing", none, truncated},
		{"incomplete sequences joined", none, []string{strings.Join(truncated, "")}},
		{"impossible bytes", none, []string{"\xfe", "\xff", "\xfe\xfe\xff\xff"}},
		{"overlong ASCII", none, []string{
			"\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xf8\x80\x80\x80\xaf", "\xfc\x80\x80\x80\x80\xaf",
		}},
		{"longest overlong", none, []string{
			"\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xf8\x87\xbf\xbf\xbf", "\xfc\x83\xbf\xbf\xbf\xbf",
		}},
		{"overlong NUL", none, []string{
			"\xc0\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xf8\x80\x80\x80\x80", "\xfc\x80\x80\x80\x80\x80",
		}},
		{"single surrogates", none, []string{
			"\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf", "\xed\xb0\x80", "\xed\xbe\x80", "\xed\xbf\xbf",
		}},
		{"paired surrogates", none, []string{
			"\xed\xa0\x80\xed\xb0\x80", "\xed\xa0\x80\xed\xbf\xbf", "\xed\xad\xbf\xed\xb0\x80", "\xed\xad\xbf\xed\xbf\xbf",
			"\xed\xae\x80\xed\xb0\x80", "\xed\xae\x80\xed\xbf\xbf", "\xed\xaf\xbf\xed\xb0\x80", "\xed\xaf\xbf\xed\xbf\xbf",
		}},
		{"noncharacters, which are valid", all, noncharacters()},
		{"specials", all, []string{
			"\ufff9", "\ufffa", "\ufffb", "\ufffc", "\ufffd", "\ufffe", "\uffff",
		}},
	}
}

// wholeRunes reports whether s[:n] ends where a rune of s ends.
func wholeRunes(s string, n int) bool {
	for i := range s {
		if i == n {
			return true
		}
	}
	return n == len(s)
}

// bytesFrom joins the bytes first to last, each followed by after.
func bytesFrom(first, last byte, after string) string {
	var s strings.Builder
	for b := first; b <= last; b++ {
		s.WriteByte(b)
		s.WriteString(after)
	}
	return s.String()
}

// noncharacters returns the last two code points of each plane.
func noncharacters() []string {
	var all []string
	for plane := rune(0); plane <= 0x10; plane++ {
		all = append(all, string(plane<<16|0xfffe), string(plane<<16|0xffff))
	}
	return all
}
