package main

import "testing"

func TestSpread(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   string
	}{
		{nil, ""},
		{[]float64{1}, "1.0 (1.0 to 1.0)"},
		{[]float64{3, 1, 2}, "2.0 (1.0 to 3.0)"},
		{[]float64{4, 1, 3, 2}, "2.5 (1.0 to 4.0)"},
	} {
		if got := spread("%.1f", tt.values); got != tt.want {
			t.Errorf("spread(%v) = %q, want %q", tt.values, got, tt.want)
		}
	}
}
