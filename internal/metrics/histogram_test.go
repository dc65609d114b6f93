package metrics_test

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"

	"sluice/internal/metrics"
)

// sample returns the value of one series on the page.
func sample(t *testing.T, page, series string) float64 {
	t.Helper()
	_, rest, ok := strings.Cut(page, "\n"+series+" ")
	if !ok {
		t.Fatalf("no %s on the page", series)
	}
	value, _, _ := strings.Cut(rest, "\n")
	v, err := strconv.ParseFloat(value, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestHistogram compares the page with a count of the same values made plainly.
func TestHistogram(t *testing.T) {
	n := metrics.New()
	const goroutines, values = 4, 1000
	var all []uint64
	var wg sync.WaitGroup
	for i := range goroutines {
		rng := rand.New(rand.NewPCG(uint64(i), 1))
		mine := make([]uint64, values)
		for j := range mine {
			mine[j] = rng.Uint64N(1 << rng.IntN(22))
		}
		mine[0] = 10 // on a bound: it belongs below
		all = append(all, mine...)
		r := n.FanOut.Recorder()
		wg.Go(func() {
			for _, v := range mine {
				r.Observe(v)
			}
		})
	}
	wg.Wait()
	p := page(n)
	for _, bound := range []string{"0", "1", "2", "5", "10", "100", "1000", "10000", "100000", "1e+06", "+Inf"} {
		most, err := strconv.ParseFloat(bound, 64)
		if err != nil {
			t.Fatal(err)
		}
		want := 0.0
		for _, v := range all {
			if float64(v) <= most {
				want++
			}
		}
		if got := sample(t, p, `sluice_fan_out_members_bucket{le="`+bound+`"}`); got != want {
			t.Errorf("up to %s: %v values, want %v", bound, got, want)
		}
	}
	sum := uint64(0)
	for _, v := range all {
		sum += v
	}
	if got := sample(t, p, "sluice_fan_out_members_sum"); got < 0.999*float64(sum) || got > 1.001*float64(sum) {
		t.Errorf("sum %v, want %v", got, sum)
	}
	if got := sample(t, p, "sluice_fan_out_members_count"); got != goroutines*values {
		t.Errorf("count %v", got)
	}
}

func TestHistogramOfDurations(t *testing.T) {
	n := metrics.New()
	n.LoopLag.Recorder().Observe(2_000_000) // nanoseconds
	p := page(n)
	if below, at := sample(t, p, `sluice_loop_lag_seconds_bucket{le="0.001"}`), sample(t, p, `sluice_loop_lag_seconds_bucket{le="0.0025"}`); below != 0 || at != 1 {
		t.Errorf("2 ms: %v up to 1 ms, %v up to 2.5 ms", below, at)
	}
	if got := sample(t, p, "sluice_loop_lag_seconds_sum"); got != 0.002 {
		t.Errorf("sum %v seconds", got)
	}
	var none *metrics.Recorder
	none.Observe(1) // forgets
}

func TestObserveDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := metrics.New().LoopLag.Recorder()
	if got := testing.AllocsPerRun(100, func() { r.Observe(1 << 40) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// TestHubLabels: a node with very many hubs shows the first hundred and the
// others as one.
func TestHubLabels(t *testing.T) {
	n := metrics.New()
	const hubs = 250
	n.OnScrape(func() {
		n.HubConnections.Clear()
		for i := range hubs {
			n.HubConnections.With("hub"+strconv.Itoa(i), "websocket").Add(2)
		}
	})
	for range 2 { // the second page must not count twice
		p := page(n)
		if got := strings.Count(p, "\nsluice_hub_connections{"); got != 101 {
			t.Errorf("%d series, want 101", got)
		}
		if got := sample(t, p, `sluice_hub_connections{hub="hub99",transport="websocket"}`); got != 2 {
			t.Errorf("a hub of its own: %v", got)
		}
		if got := sample(t, p, `sluice_hub_connections{hub="_other",transport="websocket"}`); got != 2*(hubs-100) {
			t.Errorf("the others: %v", got)
		}
	}
}

func BenchmarkObserve(b *testing.B) {
	r := metrics.New().DeliveryLatency.Recorder()
	b.ReportAllocs()
	for b.Loop() {
		r.Observe(3_000_000)
	}
}
