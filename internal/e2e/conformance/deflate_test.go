package conformance_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
)

// params are the parameters of one offer or answer of permessage-deflate.
type params struct {
	serverNoTakeover, clientNoTakeover bool
	serverBits, clientBits             int // 0 means none
	clientBitsOffered                  bool
}

func (p params) String() string {
	s := "permessage-deflate"
	if p.clientNoTakeover {
		s += "; client_no_context_takeover"
	}
	if p.clientBits != 0 {
		s += fmt.Sprintf("; client_max_window_bits=%d", p.clientBits)
	} else if p.clientBitsOffered {
		s += "; client_max_window_bits"
	}
	if p.serverNoTakeover {
		s += "; server_no_context_takeover"
	}
	if p.serverBits != 0 {
		s += fmt.Sprintf("; server_max_window_bits=%d", p.serverBits)
	}
	return s
}

// parseAnswer reads the server's choice; RFC 7692 7.1 leaves no freedom in how
// it is written but quotes, which Sluice does not use.
func parseAnswer(answer string) (p params, err error) {
	name, rest, _ := strings.Cut(answer, "; ")
	if name != "permessage-deflate" {
		return p, fmt.Errorf("answer %q", answer)
	}
	for rest != "" {
		var param string
		param, rest, _ = strings.Cut(rest, "; ")
		key, value, _ := strings.Cut(param, "=")
		switch key {
		case "server_no_context_takeover":
			p.serverNoTakeover = true
		case "client_no_context_takeover":
			p.clientNoTakeover = true
		case "server_max_window_bits":
			p.serverBits, err = strconv.Atoi(value)
		case "client_max_window_bits":
			p.clientBits, err = strconv.Atoi(value)
			p.clientBitsOffered = true
		default:
			err = fmt.Errorf("parameter %q", param)
		}
		if err != nil {
			return p, fmt.Errorf("answer %q: %w", answer, err)
		}
	}
	return p, nil
}

// fits reports whether a server may give this answer to the offer.
func (p params) fits(offer params) bool {
	switch {
	case offer.serverNoTakeover && !p.serverNoTakeover,
		offer.serverBits != 0 && (p.serverBits == 0 || p.serverBits > offer.serverBits),
		p.serverBits != 0 && (p.serverBits < 8 || p.serverBits > 15),
		p.clientBitsOffered && (!offer.clientBitsOffered || p.clientBits < 8 || p.clientBits > 15),
		offer.clientBits != 0 && p.clientBits > offer.clientBits:
		return false
	}
	return true
}

// deflate is the compression of one connection.
type deflate struct {
	// of what is sent
	sendWindow   int // in bytes
	sendTakeover bool
	sent         []byte // the last window
	writer       *flate.Writer
	out          bytes.Buffer

	// of what is received
	window   int
	takeover bool
	received []byte
	reader   io.ReadCloser
}

func newDeflate(p params) *deflate {
	d := &deflate{
		sendWindow:   window(p.clientBits),
		sendTakeover: !p.clientNoTakeover,
		window:       window(p.serverBits),
		takeover:     !p.serverNoTakeover,
		reader:       flate.NewReader(nil),
	}
	d.writer, _ = flate.NewWriter(&d.out, flate.BestSpeed)
	return d
}

const maxWindow = 1 << 15

// cut is what a sender leaves off its messages.
const cut = "\x00\x00\xff\xff"

func window(bits int) int {
	if bits == 0 {
		return maxWindow
	}
	return 1 << bits
}

// compress returns the payload of a compressed message.
func (d *deflate) compress(p []byte) []byte {
	d.out.Reset()
	if !d.sendTakeover {
		d.sent = d.sent[:0]
		d.writer.Reset(&d.out)
	}
	if d.sendWindow < maxWindow {
		d.compressNarrow(p)
	} else {
		d.writer.Write(p)
		d.writer.Flush()
	}
	return bytes.Clone(bytes.TrimSuffix(d.out.Bytes(), []byte(cut)))
}

// compressNarrow keeps to a window that compress/flate does not know: it
// compresses half a window at a time, by a writer that knows the half before it
// only. What the writer makes of that half, to learn it, is thrown away.
func (d *deflate) compressNarrow(p []byte) {
	half := d.sendWindow / 2
	for more := true; more; more = len(p) > 0 {
		part := p[:min(half, len(p))]
		p = p[len(part):]
		done := d.out.Len()
		d.writer.Reset(&d.out)
		d.writer.Write(d.sent)
		d.writer.Flush()
		d.out.Truncate(done)
		d.writer.Write(part)
		d.writer.Flush()
		d.sent = lastBytes(append(d.sent, part...), half)
	}
}

// inflate returns the message of a compressed payload. A message that refers
// to what the client need not know any more fails.
func (d *deflate) inflate(t *testing.T, payload []byte) []byte {
	t.Helper()
	if d.window < maxWindow {
		farthest, err := reach(append(bytes.Clone(payload), cut...))
		if err != nil {
			t.Fatalf("inflate: %v", err)
		}
		if farthest > d.window {
			t.Fatalf("the server refers back by %d bytes, its window is %d", farthest, d.window)
		}
	}
	// The empty final block makes an end of file out of the end of the message.
	whole := io.MultiReader(bytes.NewReader(payload), strings.NewReader(cut+"\x01\x00\x00\xff\xff"))
	d.reader.(flate.Resetter).Reset(whole, d.received)
	p, err := io.ReadAll(d.reader)
	if err != nil {
		t.Fatalf("inflate: %v", err)
	}
	if d.takeover {
		d.received = lastBytes(append(d.received, p...), d.window)
	}
	return p
}

func lastBytes(p []byte, n int) []byte { return p[max(0, len(p)-n):] }
