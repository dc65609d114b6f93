package engine

import (
	"testing"

	"github.com/valyala/bytebufferpool"
)

func TestBuffersComeBack(t *testing.T) {
	var b buffers
	first := b.get()
	first.B = append(first.B, "some output"...)
	b.put(first)
	if again := b.get(); again != first || len(again.B) != 0 {
		t.Errorf("got %p with %d bytes, want %p and none", again, len(again.B), first)
	}
}

// TestBuffersAreBounded: neither large buffers nor many are kept.
func TestBuffersAreBounded(t *testing.T) {
	var b buffers
	b.put(&bytebufferpool.ByteBuffer{B: make([]byte, 0, maxFreeBuffer+1)})
	if len(b.free) != 0 {
		t.Error("a large buffer was kept")
	}
	for range 2 * maxFreeBytes / maxFreeBuffer {
		b.put(&bytebufferpool.ByteBuffer{B: make([]byte, 0, maxFreeBuffer)})
	}
	if b.bytes != maxFreeBytes || len(b.free) != maxFreeBytes/maxFreeBuffer {
		t.Errorf("%d bytes in %d buffers kept", b.bytes, len(b.free))
	}
}

// TestBuffersAge: what a burst left behind goes, what is in use stays.
func TestBuffersAge(t *testing.T) {
	var b buffers
	for range 1000 {
		b.put(&bytebufferpool.ByteBuffer{B: make([]byte, 0, 1024)})
	}
	for range 200 {
		busy := []*bytebufferpool.ByteBuffer{b.get(), b.get(), b.get()}
		for _, buf := range busy {
			b.put(buf)
		}
		b.age()
	}
	if len(b.free) != 3 || b.bytes != 3*1024 {
		t.Errorf("%d buffers, %d bytes left; want the 3 in use", len(b.free), b.bytes)
	}
	b.age()
	b.age()
	b.age()
	b.age()
	if len(b.free) != 0 || b.bytes != 0 {
		t.Errorf("%d buffers, %d bytes left of an idle loop", len(b.free), b.bytes)
	}
}
