package metrics

// otherHub stands for the hubs that have no label of their own. No hub can have
// this name: theirs begin with a letter.
const otherHub = "_other"

// maxHubLabels is how many hubs the page tells apart; the first ones to be seen.
const maxHubLabels = 100

// GaugeVec is a gauge for each combination of label values. The combinations
// are found as the node runs, and bounded: above the limit the first label is
// "_other". Its methods are for OnScrape hooks only.
type GaugeVec struct {
	family *family
	labels []string
	limit  int
	gauges map[[maxLabels]string]*Gauge
}

func (n *Node) gaugeVec(name, help string, limit int, labels ...string) *GaugeVec {
	return &GaugeVec{
		family: n.family(name, "gauge", help),
		labels: labels,
		limit:  limit,
		gauges: map[[maxLabels]string]*Gauge{},
	}
}

// Clear sets all gauges to 0. What is shown stays shown: a series that goes away
// and comes back looks like a gap in the scrapes.
func (v *GaugeVec) Clear() {
	for _, g := range v.gauges {
		g.Set(0)
	}
}

// With returns the gauge for label values, given in the order of the labels. Add
// to it after a Clear: several hubs may share one.
func (v *GaugeVec) With(values ...string) *Gauge {
	k := key(values)
	if g, ok := v.gauges[k]; ok {
		return g
	}
	if len(v.gauges) >= v.limit && values[0] != otherHub {
		return v.With(append([]string{otherHub}, values[1:]...)...)
	}
	g := v.family.set.NewGauge(series(v.family.name, v.labels, values), nil)
	v.gauges[k] = g
	return g
}
