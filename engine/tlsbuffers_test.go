//go:build !purego

package engine

import (
	"bytes"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"reflect"
	"testing"
	"unsafe"
)

// TestTLSBuffersAreThere: this version of Go has the buffers that are let go.
// Should a later one have none, connections cost more again, and this file can go.
func TestTLSBuffersAreThere(t *testing.T) {
	if len(tlsBuffers) != 2 {
		t.Errorf("crypto/tls has changed: %d buffers found", len(tlsBuffers))
	}
	if got := buffersOf(reflect.TypeFor[struct{ rawInput []byte }](), "rawInput"); got != nil {
		t.Errorf("something that is no buffer was taken for one: %v", got)
	}
	if got := buffersOf(reflect.TypeFor[struct{ rawInput bytes.Buffer }](), "rawInput", "hand"); got != nil {
		t.Errorf("one of two was found, and taken: %v", got)
	}
}

// held returns what the buffers of a connection hold.
func held(c *tls.Conn) (bytesHeld int) {
	for _, offset := range tlsBuffers {
		bytesHeld += (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(c), offset)).Cap()
	}
	return bytesHeld
}

// TestTLSBuffersLetGo: a quiet connection holds none, whatever it has read, and
// goes on as if nothing had been.
func TestTLSBuffersLetGo(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		n := startTLS(t, Config{HeartbeatInterval: short}, echo)
		n.tls.MaxVersion = version
		c := n.open()
		holds := func() (bytesHeld int) {
			n.with(c, func(c *Conn) { bytesHeld = held(c.gc.(*session).tls) })
			return bytesHeld
		}
		if got := holds(); got != 0 {
			t.Errorf("%s: %d bytes held after the upgrade", tls.VersionName(version), got)
		}
		for range 3 {
			large := random(20_000)
			c.WriteFrame(0x82, large)
			pinged := false
			n.eventually("an echo and a ping", func() bool {
				f := c.ReadFrame()
				if f.Op == 9 {
					pinged = holds() < 16<<10 // those before the echo are of no interest
					c.WriteFrame(0x8a, nil)
				} else if !bytes.Equal(f.Payload, large) {
					t.Errorf("%s: got %s", tls.VersionName(version), f)
				}
				return pinged
			})
		}
		c.Close()
	}
}

// TestTLSBuffersLetGoAlways lets go as often as it is allowed, while a client's
// records come in pieces of all sizes.
func TestTLSBuffersLetGoAlways(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		serverConfig, clientConfig := tlsConfigs(t)
		clientConfig.MaxVersion = version
		a, b := net.Pipe()
		server := newSession(b, nil, serverConfig)
		client := tls.Client(a, clientConfig)
		shaken := make(chan error, 1)
		go func() { shaken <- client.Handshake() }()
		if err := server.tls.Handshake(); err != nil {
			t.Fatal(err)
		}
		if err := <-shaken; err != nil {
			t.Fatal(err)
		}
		sent := random(200_000)
		go func() {
			defer a.Close()
			for p := sent; len(p) > 0; {
				n := min(len(p), 1+rand.IntN(20_000))
				if _, err := client.Write(p[:n]); err != nil {
					t.Error(err)
				}
				p = p[n:]
			}
		}()
		server.wire.nc, server.wire.out = nil, new([]byte)
		var got []byte
		piece, plain := make([]byte, 3000), make([]byte, 8192)
		for {
			n, err := b.Read(piece[:1+rand.IntN(len(piece))])
			if err != nil {
				break
			}
			server.wire.in = piece[:n]
			for err == nil {
				n, err = server.tls.Read(plain)
				got = append(got, plain[:n]...)
			}
			if !errors.Is(err, errNoInput) {
				t.Fatal(err)
			}
			letGo(server.tls)
		}
		if !bytes.Equal(got, sent) {
			t.Errorf("%s: %d bytes of %d came, or others", tls.VersionName(version), len(got), len(sent))
		}
	}
}
