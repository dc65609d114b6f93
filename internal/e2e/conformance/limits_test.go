package conformance_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	kib = 1 << 10
	mib = 1 << 20

	tooBig = 1009
)

// TestLimits is 9.1 to 9.6: large messages, whole, in fragments and in chops.
func TestLimits(t *testing.T) {
	var cases []testCase
	add := func(series, number, chop int, message frame, frames ...frame) {
		if testing.Short() && (len(message.payload) > 4*mib || len(frames) > kib || chop > 0 && chop < kib) {
			return
		}
		cases = append(cases, testCase{
			id:    fmt.Sprintf("9.%d.%d", series, number),
			chop:  chop,
			steps: send(frames...).gets(message.echo()),
		})
	}
	for i, of := range []func(size int) frame{longText, longBinary} {
		for j, size := range []int{64 * kib, 256 * kib, 1 * mib, 4 * mib, 8 * mib, 16 * mib} {
			add(1+i, 1+j, together, of(size), of(size))
		}
		for j, size := range []int{64, 256, 1 * kib, 4 * kib, 16 * kib, 64 * kib, 256 * kib, 1 * mib, 4 * mib} {
			add(3+i, 1+j, together, of(4*mib), of(4*mib).fragments(size)...)
		}
		for j, chop := range []int{64, 128, 256, 512, 1024, 2048} {
			add(5+i, 1+j, chop, of(1*mib), of(1*mib))
		}
	}
	runCases(t, large, cases)
}

// TestRoundTrips is 9.7 and 9.8: a thousand messages, one after the other.
func TestRoundTrips(t *testing.T) {
	var cases []testCase
	for i, one := range []frame{text("*"), blob("\xfe")} {
		for j, size := range []int{0, 16, 64, 256, 1024, 4096} {
			message := one
			message.payload = []byte(strings.Repeat(string(one.payload), size))
			cases = append(cases, testCase{
				id:    fmt.Sprintf("9.%d.%d", 7+i, 1+j),
				steps: send(message).echoes(),
				times: 1000,
			})
		}
	}
	runCases(t, plain, cases)
}

// TestAutoFragmentation is chapter 10.
func TestAutoFragmentation(t *testing.T) {
	message := text(strings.Repeat("*", 65536))
	runCases(t, plain, []testCase{
		{id: "10.1.1", steps: send(message.fragments(1300)...).gets(message.echo())},
	})
}

// TestTooBig is not in the suite, which must not know the limit: it is the
// default 1 MiB here.
func TestTooBig(t *testing.T) {
	whole := longBinary(1 * mib)
	over := frame{fin: true, op: opBinary, payload: longBinary(2 * mib).payload[:1*mib+1]}
	parts := over.fragments(1 * mib)
	runCases(t, plain, []testCase{
		{id: "limit", steps: send(whole).echoes()},
		{id: "whole", steps: send(over), closes: tooBig},
		{id: "fragments", steps: send(parts...), closes: tooBig},
	})
}

// longText is a message of up to 16 MiB that differs from itself everywhere, so
// that an echo with a part lost, repeated or moved is not the same. Its size is
// a multiple of 64 KiB; smaller cuts go through the middle of runes.
func longText(size int) frame {
	return frame{fin: true, op: opText, payload: counted()[:size]}
}

func longBinary(size int) frame {
	return frame{fin: true, op: opBinary, payload: noise()[:size]}
}

var counted = sync.OnceValue(func() []byte {
	const block = 64 * kib
	b := make([]byte, 0, 16*mib)
	for i := 0; len(b) < cap(b); i++ {
		line := strconv.Itoa(i) + " " + greek + "\n"
		if room := block - len(b)%block; len(line) > room {
			line = strings.Repeat(".", room) // no rune across the end of a block
		}
		b = append(b, line...)
	}
	return b
})

var noise = sync.OnceValue(func() []byte {
	b := make([]byte, 16*mib)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
})
