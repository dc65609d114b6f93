package frame_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"sluice/frame"
)

// completable is the naive twin of the prefix check: it tries whether any bytes
// after p make it valid.
func completable(p []byte) bool {
	if utf8.Valid(p) {
		return true
	}
	// The bytes at the edges of the ranges in table 3-7 of the Unicode standard.
	edges := []byte{0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf}
	tries := [][]byte{nil}
	for range 3 {
		var longer [][]byte
		for _, try := range tries {
			for _, b := range edges {
				longer = append(longer, append(append([]byte(nil), try...), b))
			}
		}
		for _, try := range longer {
			if utf8.Valid(append(append([]byte(nil), p...), try...)) {
				return true
			}
		}
		tries = longer
	}
	return false
}

// firstBad returns the index of the first byte after which text cannot become
// valid any more, or -1.
func firstBad(text string) int {
	start := 0
	for i := range len(text) {
		if utf8.ValidString(text[start : i+1]) {
			start = i + 1
		} else if !completable([]byte(text[start : i+1])) {
			return i
		}
	}
	return -1
}

var texts = []string{
	"", "a", "Hello-µ@ßöäüàá-UTF-8!!", "κόσμε", "日本語", "😀", "\U0010ffff", "\ufffe\uffff",
	"κόσμε\xed\xa0\x80edited",                      // a surrogate
	"κόσμε\xf4\x90\x80\x80edited",                  // above U+10FFFF
	"\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", // overlong
	"\xfe", "\xff", "\x80", "\xbf", "a\x80b",
	"\xc3", "\xe6\x97", "\xf0\x9f\x98", // unfinished
	"\xc3(", "\xe6(\xa5", "\xf0\x9f(\x80",
	"\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80",
	strings.Repeat("x", 70) + "\xe2\x82\xac" + strings.Repeat("y", 70) + "\xe2\x28",
}

// scanParts feeds text in parts of size bytes and returns the number of bytes
// fed when the scan failed, or -1 with whether the text was complete.
func scanParts(text string, size int) (failed int, complete bool) {
	tail, ok := 0, true
	for start := 0; start < len(text); start += size {
		end := min(len(text), start+size)
		if tail, ok = frame.ScanText([]byte(text[start-tail : end])); !ok {
			return end, false
		}
	}
	return -1, tail == 0
}

func TestScanText(t *testing.T) {
	for _, text := range texts {
		bad := firstBad(text)
		for size := 1; size <= len(text)+1; size++ {
			failed, complete := scanParts(text, size)
			switch {
			case bad >= 0 && (failed <= bad || failed-bad > size):
				t.Errorf("%q in parts of %d: failed after %d bytes, want with the part that holds byte %d", text, size, failed, bad)
			case bad < 0 && failed >= 0:
				t.Errorf("%q in parts of %d: failed after %d bytes, but it is a valid start", text, size, failed)
			case failed < 0 && complete != utf8.ValidString(text):
				t.Errorf("%q in parts of %d: complete=%v", text, size, complete)
			}
		}
	}
}

func FuzzScanText(f *testing.F) {
	for _, text := range texts {
		f.Add(text, uint8(3))
	}
	f.Fuzz(func(t *testing.T, text string, size uint8) {
		part := int(size)%16 + 1
		bad := firstBad(text)
		failed, complete := scanParts(text, part)
		if (bad < 0) != (failed < 0) || bad >= 0 && (failed <= bad || failed-bad > part) {
			t.Fatalf("%q in parts of %d: failed after %d bytes, first bad byte %d", text, part, failed, bad)
		}
		if failed < 0 && complete != utf8.ValidString(text) {
			t.Fatalf("%q in parts of %d: complete=%v", text, part, complete)
		}
	})
}
