package metrics

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	vm "github.com/VictoriaMetrics/metrics"
)

// family is all series of one name. VictoriaMetrics writes no help text, so
// each family is a set of its own that is written under its head.
type family struct {
	name, kind, help string
	set              *vm.Set
	histogram        *Histogram // instead of the set, nil for other kinds
}

func (n *Node) family(name, kind, help string) *family {
	f := &family{name: name, kind: kind, help: help, set: vm.NewSet()}
	n.families = append(n.families, f)
	return f
}

func (n *Node) counter(name, help string) *Counter {
	return n.family(name, "counter", help).set.NewCounter(name)
}

func (n *Node) gauge(name, help string) *Gauge {
	return n.family(name, "gauge", help).set.NewGauge(name, nil)
}

// write appends the family, or nothing while it has no series.
func (f *family) write(page *bytes.Buffer) {
	if f.histogram == nil && len(f.set.ListMetricNames()) == 0 {
		return
	}
	writeHead(page, f.name, f.kind, f.help)
	if f.histogram != nil {
		f.histogram.write(page)
		return
	}
	f.set.WritePrometheus(page)
}

func writeHead(page *bytes.Buffer, name, kind, help string) {
	fmt.Fprintf(page, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

// series returns the full name of one series, as `name{label="value"}`.
func series(name string, labels, values []string) string {
	var b strings.Builder
	b.WriteString(name)
	for i, label := range labels {
		b.WriteByte("{,"[min(i, 1)])
		b.WriteString(label + "=" + strconv.Quote(values[i]))
	}
	b.WriteByte('}')
	return b.String()
}
