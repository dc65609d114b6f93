package hdr_test

import (
	"fmt"
	"time"

	"sluice/bench/hdr"
)

func Example() {
	var h hdr.Histogram
	for i := range 100 {
		h.Record(time.Duration(i+1) * time.Nanosecond)
	}
	fmt.Println(h.Count(), h.Quantile(0.5), h.Quantile(0.99), h.Max())
	// Output: 100 50ns 99ns 100ns
}
