package sse

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"sluice/hub"
)

func TestParseID(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat("ABCDEFGHIJ:18446744073709551615,", maxPlaces), ",")
	for _, tt := range []struct {
		id   string
		want []hub.Place
	}{
		{"ABC:1", []hub.Place{{Epoch: "ABC", Offset: 1}}},
		{"ABC:0,DEF:18446744073709551615", []hub.Place{{Epoch: "ABC", Offset: 0}, {Epoch: "DEF", Offset: math.MaxUint64}}},
		{many, slices.Repeat([]hub.Place{{Epoch: "ABCDEFGHIJ", Offset: math.MaxUint64}}, maxPlaces)},
		{many + ",A:1", nil},
		{strings.Repeat("A:1,", maxPlaces) + "A:1", nil},
		{"", nil},
		{"ABC", nil},
		{"ABC:", nil},
		{":1", nil},
		{"ABC:1,", nil},
		{"ABC:-1", nil},
		{"ABC:18446744073709551616", nil},
		{idOver, nil},
	} {
		if got := parseID(tt.id); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.id, got, tt.want)
		}
	}
}

// TestPosition: ids are read as they were written, in the order of the groups.
func TestPosition(t *testing.T) {
	p := newPosition([]hub.Recollection{
		{Group: "a", HistoryPage: hub.HistoryPage{Epoch: "A", Offset: 3}},
		{Group: "b", HistoryPage: hub.HistoryPage{Epoch: "B", Offset: 9, Messages: make([]hub.HistoryMessage, 1)}},
	})
	p.places[1].Offset = 8
	if got := string(p.appendID(nil)); got != "A:3,B:8" {
		t.Errorf("at first %s", got)
	}
	if !p.advance("b", 9) || p.advance("c", 1) {
		t.Error("the wrong groups have a place")
	}
	if got := parseID(string(p.appendID(nil))); fmt.Sprint(got) != "[{A 3} {B 9}]" {
		t.Errorf("then %v", got)
	}
}

// FuzzParseID: whatever a client brings back is bounded, and what is read is what
// was written.
func FuzzParseID(f *testing.F) {
	for _, id := range []string{"ABC:1", "ABC:1,DEF:2", ",", "a:b:1", strings.Repeat("A:1,", 100)} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		places := parseID(id)
		if len(places) > maxPlaces {
			t.Fatalf("%d places", len(places))
		}
		if len(places) == 0 {
			return
		}
		again := parseID(string((&position{places: places}).appendID(nil)))
		if !slices.Equal(places, again) {
			t.Errorf("%v became %v", places, again)
		}
	})
}
