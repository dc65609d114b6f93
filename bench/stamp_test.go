package bench

import (
	"bytes"
	"math"
	"testing"

	"sluice/hub/wire"
)

func TestStamp(t *testing.T) {
	for _, want := range []stamp{{}, {1, 2, 3, 4}, {math.MaxUint32, math.MaxUint16, 1<<48 - 1, math.MaxInt64}} {
		data := make([]byte, stampSize+10)
		want.put(data)
		if got, ok := findStamp(data, false); !ok || got != want {
			t.Errorf("got %v %v, want %v", got, ok, want)
		}
		message := wire.JSONv1{}.AppendMessage(nil, &wire.Message{
			Group: `a "data":" b`, DataType: wire.Text, Data: data[:stampSize],
		})
		if got, ok := findStamp(message, true); !ok || got != want {
			t.Errorf("in %s: got %v %v, want %v", message, got, ok, want)
		}
	}
}

func TestNoStamp(t *testing.T) {
	for _, message := range []string{"", "short", `{"type":"pong"}`, `{"data":"`, `{"data":"0123"}`,
		`{"data":"0123456789012345678901234567890123456z89"}`} {
		for _, sluice := range []bool{true, false} {
			if st, ok := findStamp([]byte(message), sluice); ok {
				t.Errorf("found %v in %q", st, message)
			}
		}
	}
}

// FuzzFindStamp: whatever is read as a stamp writes itself again.
func FuzzFindStamp(f *testing.F) {
	var data [stampSize]byte
	stamp{1, 2, 3, 4}.put(data[:])
	f.Add(data[:], false)
	f.Add(wire.JSONv1{}.AppendMessage(nil, &wire.Message{Group: "g1", DataType: wire.Text, Data: data[:]}), true)
	f.Add([]byte(`{"type":"ack","ackId":1,"success":true}`), true)
	f.Fuzz(func(t *testing.T, message []byte, sluice bool) {
		st, ok := findStamp(message, sluice)
		if !ok {
			return
		}
		var again [stampSize]byte
		st.put(again[:])
		if !bytes.Contains(bytes.ToLower(message), again[:]) {
			t.Errorf("%q was read as %+v", message, st)
		}
	})
}
