package bench

import (
	"encoding/json"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"sluice/bench/hdr"
	"sluice/internal/build"
)

// Report is everything that a run has found out.
type Report struct {
	Scenario    string            `json:"scenario"`
	Started     time.Time         `json:"started"`
	Seconds     float64           `json:"seconds"`
	Config      map[string]string `json:"config"` // flags by name, without secrets
	Environment Environment       `json:"environment"`
	Figures     []Figure          `json:"figures"`
	Latency     []Percentile      `json:"latency,omitempty"`
	Series      []Sample          `json:"series,omitempty"`
	Failed      map[string]int    `json:"failed"` // connections that did not open, by reason
	Lost        map[string]int    `json:"lost"`   // connections that ended by themselves, by reason
	Notes       []string          `json:"notes,omitempty"`
}

// Figure is one result. Its name says the unit where there is one.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Help  string  `json:"help"`
}

// Percentile is one point of the distribution of latencies.
type Percentile struct {
	Percent float64       `json:"percent"`
	Latency time.Duration `json:"latency_ns"`
}

// Sample is the server at one moment.
type Sample struct {
	Seconds float64 `json:"seconds"` // since the start
	Open    int     `json:"open"`    // connections of ours
	Usage
}

// Environment is where a run took place.
type Environment struct {
	Sluice      string `json:"sluice"`
	Go          string `json:"go"`
	Kernel      string `json:"kernel"`
	Cores       int    `json:"cores"`
	ClientCores string `json:"client_cores"`
	Server      string `json:"server,omitempty"` // name of the process
	ServerCores string `json:"server_cores,omitempty"`
	LoadBefore  string `json:"load_before,omitempty"` // averages over 1, 5 and 15 minutes: who else was there
}

func environment(server Process) Environment {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	load, _ := os.ReadFile("/proc/loadavg")
	e := Environment{
		Sluice:      build.Current().String(),
		Go:          runtime.Version(),
		Kernel:      strings.TrimSpace(string(kernel)),
		Cores:       onlineCores(),
		ClientCores: Process{os.Getpid()}.Cores(),
		LoadBefore:  strings.Join(first(strings.Fields(string(load)), 3), " "),
	}
	if server.PID != 0 {
		e.Server, e.ServerCores = server.Name(), server.Cores()
	}
	return e
}

// onlineCores counts the cores of the machine; runtime.NumCPU counts those that
// this process may use.
func onlineCores() int {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return runtime.NumCPU()
	}
	n := 0
	for line := range strings.Lines(string(stat)) {
		if strings.HasPrefix(line, "cpu") && !strings.HasPrefix(line, "cpu ") {
			n++
		}
	}
	return n
}

func first(s []string, n int) []string { return s[:min(n, len(s))] }

// Figure returns the value of a figure.
func (r *Report) Figure(name string) (float64, bool) {
	for _, f := range r.Figures {
		if f.Name == name {
			return f.Value, true
		}
	}
	return 0, false
}

func (r *Report) add(name string, value float64, help string) {
	r.Figures = append(r.Figures, Figure{name, value, help})
}

// percents are the points of the distribution that a report keeps.
var percents = []float64{0, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 99.999, 100}

// addLatency adds the distribution and the usual figures from it.
func (r *Report) addLatency(h *hdr.Histogram, what string) {
	if h.Count() == 0 {
		return
	}
	for _, p := range percents {
		r.Latency = append(r.Latency, Percentile{p, h.Quantile(p / 100)})
	}
	for _, f := range []struct {
		name string
		d    time.Duration
		help string
	}{
		{"latency_p50_ms", h.Quantile(0.5), what + ", median"},
		{"latency_p99_ms", h.Quantile(0.99), what + ", 99 of 100 are faster"},
		{"latency_p999_ms", h.Quantile(0.999), what + ", 999 of 1,000 are faster"},
		{"latency_max_ms", h.Max(), what + ", the slowest"},
	} {
		r.add(f.name, float64(f.d)/float64(time.Millisecond), f.help)
	}
}

// WriteJSON writes the report for programs.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}
