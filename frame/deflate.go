package frame

import (
	"cmp"

	"github.com/klauspost/compress/flate"
)

// DeflateConfig tunes permessage-deflate (RFC 7692). The zero value is off.
type DeflateConfig struct {
	// Enabled offers or accepts the extension. Default off: compressing costs
	// some 3 microseconds for 231 bytes and 60 for 64 KiB, inflating a little
	// more than half of that.
	Enabled bool `yaml:"enabled"`

	// Level is the effort, 1 (fast) to 6. Default 1. On messages below a few
	// kilobytes a higher one saves no more than a percent or two.
	Level int `yaml:"level"`

	// MinSize is the smallest payload worth compressing, in bytes. Default
	// 256. Messages below some 64 bytes rarely shrink.
	MinSize int `yaml:"min_size" unit:"bytes"`

	// ContextTakeover lets messages refer to earlier ones on the same
	// connection, which makes small, similar messages several times smaller.
	// Default off, and dear: each connection keeps up to 4 KiB of what was sent
	// and up to ClientWindowBits of what was received, and a broadcast is
	// compressed once per recipient instead of once.
	ContextTakeover bool `yaml:"context_takeover"`

	// ClientWindowBits bounds what a connection with ContextTakeover keeps of
	// what it received to 2^bits bytes, 9 to 15. Default 12, which is 4 KiB.
	// Clients that cannot limit their window cost 32 KiB all the same.
	ClientWindowBits int `yaml:"client_window_bits"`
}

const (
	defaultLevel            = flate.BestSpeed
	maxLevel                = 6 // above, the coder clears half a megabyte of tables per message
	defaultMinSize          = 256
	defaultClientWindowBits = 12
)

// WithDefaults returns the configuration with every zero replaced.
func (cfg DeflateConfig) WithDefaults() DeflateConfig {
	cfg.Level = cmp.Or(cfg.Level, defaultLevel)
	cfg.MinSize = cmp.Or(cfg.MinSize, defaultMinSize)
	cfg.ClientWindowBits = cmp.Or(cfg.ClientWindowBits, defaultClientWindowBits)
	return cfg
}

// Validate reports every value that cannot be used.
func (cfg *DeflateConfig) Validate(report func(key, problem string)) {
	if cfg.Level < 0 || cfg.Level > maxLevel {
		report("level", "must be between 1 and 6, or 0 for the default")
	}
	if cfg.MinSize < 0 {
		report("min_size", "must not be negative")
	}
	// zlib, which most clients use, cannot work with a window of 8 bits.
	if b := cfg.ClientWindowBits; b != 0 && (b <= minWindowBits || b > maxWindowBits) {
		report("client_window_bits", "must be between 9 and 15, or 0 for the default")
	}
}

// The limits of the *_max_window_bits parameters (RFC 7692 7.1.2).
const (
	minWindowBits = 8
	maxWindowBits = 15
)

// Deflate is what one connection negotiated. Without context takeover it is
// immutable and shared by all connections with the same parameters; with it, it
// belongs to the goroutine of its connection.
type Deflate struct {
	send, receive direction
}

// Takeover reports whether what is sent depends on what was sent before. Such a
// connection cannot use [Message.Deflated]; see [Codec.AppendMessage].
func (d *Deflate) Takeover() bool { return d != nil && d.send.keep > 0 }

// contextFree holds the instances without takeover, by the bits of the window
// for sending. The window for receiving does not matter to them, because every
// message starts with an empty one.
var contextFree = func() (all [maxWindowBits + 1]Deflate) {
	for bits := range all {
		all[bits].send.bits = uint8(bits)
		all[bits].receive.bits = maxWindowBits
	}
	return all
}()

// direction is one way of a connection: how far back a message may refer, and
// into what.
type direction struct {
	bits    uint8  // the window is 2^bits bytes
	keep    int    // bytes of earlier messages to keep, 0 without takeover
	history []byte // the last of them
}

// firstHistory is the least memory in bytes that a history takes.
const firstHistory = 256

func (d *direction) window() int { return 1 << d.bits }

// remember adds a message to the history.
func (d *direction) remember(p []byte) {
	if d.keep == 0 {
		return
	}
	p = last(p, d.keep)
	old := last(d.history, d.keep-len(p))
	if need := len(old) + len(p); need > cap(d.history) {
		// Grown by hand, because append would round up beyond keep.
		grown := make([]byte, 0, min(max(2*need, firstHistory), d.keep))
		d.history = append(grown, old...)
	} else {
		d.history = d.history[:copy(d.history, old)]
	}
	d.history = append(d.history, p...)
}

// last returns the last n bytes of p, or all when there are fewer.
func last(p []byte, n int) []byte { return p[max(0, len(p)-n):] }

// deflater compresses. Its coders are made when they are first needed.
type deflater struct {
	level, minSize int
	out            sliceWriter
	coder          *flate.Writer
	small          [maxWindowBits]*flate.Writer // by the bits of a window below 32 KiB
	twin           []byte                       // scratch of Message.Deflated
}

func newDeflater(cfg DeflateConfig) deflater {
	cfg = cfg.WithDefaults()
	return deflater{level: cfg.Level, minSize: cfg.MinSize}
}

// tiny is the size in bytes below which flate.Writer gives up looking for
// matches. StatelessDeflate still finds those in the history, at the price of
// one allocation when there is one.
const tiny = 128

// append appends the compressed payload (RFC 7692 7.2.1).
func (f *deflater) append(dst, payload []byte, to *direction) []byte {
	f.out.b = dst
	if window := to.window(); len(to.history)+len(payload) > window && to.bits < maxWindowBits {
		f.write(f.smallCoder(to.bits), payload, to.history)
	} else if len(payload) < tiny {
		must(flate.StatelessDeflate(&f.out, payload, false, to.history))
	} else {
		f.write(f.sharedCoder(), payload, to.history)
	}
	dst, f.out.b = f.out.b, nil
	// All of them end with an empty stored block, whose last four bytes the
	// receiver puts back.
	return dst[:len(dst)-4]
}

func (f *deflater) write(w *flate.Writer, payload, history []byte) {
	w.ResetDict(&f.out, history)
	_, err := w.Write(payload)
	must(err)
	must(w.Flush())
}

// sharedCoder refers back by up to 32 KiB, so it serves every message that is
// not longer than the recipient's window.
func (f *deflater) sharedCoder() *flate.Writer {
	if f.coder == nil {
		w, err := flate.NewWriter(nil, f.level)
		must(err)
		f.coder = w
	}
	return f.coder
}

func (f *deflater) smallCoder(bits uint8) *flate.Writer {
	if f.small[bits] == nil {
		w, err := flate.NewWriterWindow(nil, 1<<bits)
		must(err)
		f.small[bits] = w
	}
	return f.small[bits]
}

// sliceWriter is the destination of a coder. It never fails.
type sliceWriter struct{ b []byte }

func (w *sliceWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

// must is for errors that a validated configuration and a writer that cannot
// fail rule out.
func must(err error) {
	if err != nil {
		panic("frame: " + err.Error())
	}
}
