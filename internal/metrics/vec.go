package metrics

// maxLabels is what a CounterVec can tell apart; every label more multiplies
// the series of a page.
const maxLabels = 2

// CounterVec is one counter for each combination of label values that was
// declared, all of them shown from the start. Its methods may be called from
// any goroutine.
type CounterVec struct {
	counters map[[maxLabels]string]*Counter
	other    *Counter // for combinations that were not declared
}

// counterVec declares a family with labels and the combinations of values it
// will meet.
func (n *Node) counterVec(name, help string, labels []string, combinations [][]string) *CounterVec {
	f := n.family(name, "counter", help)
	v := &CounterVec{counters: make(map[[maxLabels]string]*Counter, len(combinations))}
	for _, values := range combinations {
		v.counters[key(values)] = f.set.NewCounter(series(name, labels, values))
	}
	v.other = f.set.NewCounter(series(name, labels, []string{"other", "other"}))
	return v
}

// With returns the counter for label values, given in the order of the labels;
// "other" counts what is not in the list. It does not allocate.
func (v *CounterVec) With(values ...string) *Counter {
	if c, ok := v.counters[key(values)]; ok {
		return c
	}
	return v.other
}

func key(values []string) (k [maxLabels]string) {
	copy(k[:], values)
	return k
}
