package frame_test

import (
	"testing"

	"sluice/frame"
)

func TestOverflowString(t *testing.T) {
	for o, want := range map[frame.Overflow]string{
		frame.OverflowClose: "close", frame.OverflowDropNewest: "drop_newest", frame.OverflowDropOldest: "drop_oldest",
		frame.OverflowConflate: "conflate", frame.OverflowConflate + 1: "other",
	} {
		if got := o.String(); got != want {
			t.Errorf("%d is %q, want %q", o, got, want)
		}
	}
}

// TestExpendable: a message is not to be lost unless it says so.
func TestExpendable(t *testing.T) {
	m := frame.Seal(frame.OpText, make([]byte, frame.HeadRoom))
	if m.Overflow() != frame.OverflowClose || m.Key() != "" {
		t.Errorf("a new message: %s, key %q", m.Overflow(), m.Key())
	}
	m.Expendable(frame.OverflowConflate, "EURUSD")
	if m.Overflow() != frame.OverflowConflate || m.Key() != "EURUSD" {
		t.Errorf("%s, key %q", m.Overflow(), m.Key())
	}
}
