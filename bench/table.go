package bench

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"text/tabwriter"
	"time"
)

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	e := r.Environment
	fmt.Fprintf(w, "%s, %s, %.1f s\n", r.Scenario, r.Started.UTC().Format(time.DateTime+" UTC"), r.Seconds)
	fmt.Fprintf(w, "%s, Linux %s, %d cores, client on core %s", e.Sluice, e.Kernel, e.Cores, e.ClientCores)
	if e.Server != "" {
		fmt.Fprintf(w, ", server %q on core %s", e.Server, e.ServerCores)
	}
	fmt.Fprintf(w, ", load before %s\n\n", e.LoadBefore)

	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range r.Figures {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", f.Name, number(f.Value), f.Help)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, c := range []struct {
		what   string
		counts map[string]int
	}{{"did not open", r.Failed}, {"ended by themselves", r.Lost}} {
		if len(c.counts) > 0 {
			fmt.Fprintf(w, "\nconnections that %s: %s\n", c.what, list(c.counts))
		}
	}
	for _, note := range r.Notes {
		fmt.Fprintf(w, "\n%s\n", note)
	}
	return nil
}

// number writes a figure with four significant digits, and whole numbers whole.
func number(v float64) string {
	if v == math.Trunc(v) || math.Abs(v) >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	digits := 3
	for a := math.Abs(v); a < 0.995 && digits < 7; digits++ {
		a *= 10
	}
	for a := math.Abs(v); a >= 10 && digits > 1; digits-- {
		a /= 10
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}
