package frame

// Doors for the tests of package frame_test.

var ScanText = scanText

const (
	InflateTail    = inflateTail
	MaxFinalBlocks = maxFinalBlocks
)

// InflateScratch returns the size in bytes of the buffer that c inflates into.
func (c *Codec) InflateScratch() int { return cap(c.inflater.out) }

// Coders returns how many compressors c has made.
func (c *Codec) Coders() int {
	n := 0
	if c.deflater.coder != nil {
		n++
	}
	for _, w := range c.deflater.small {
		if w != nil {
			n++
		}
	}
	return n
}

// Remember returns a function that adds messages to a history of keep bytes
// and returns what the history then is.
func Remember(keep int) func(p []byte) []byte {
	d := direction{keep: keep}
	return func(p []byte) []byte {
		d.remember(p)
		return d.history
	}
}
