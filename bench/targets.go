package bench

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Targets are what the figures of a scenario must keep to.
type Targets struct {
	Scenario string   `yaml:"scenario"`
	Targets  []Target `yaml:"targets"`
}

// Target bounds one figure.
type Target struct {
	Figure string   `yaml:"figure"`
	Min    *float64 `yaml:"min"`
	Max    *float64 `yaml:"max"`
}

// ParseTargets reads a YAML file of targets.
func ParseTargets(text []byte) (*Targets, error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	var t Targets
	if err := dec.Decode(&t); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !slices.ContainsFunc(Scenarios(), func(e Entry) bool { return e.Name == t.Scenario }) {
		return nil, fmt.Errorf("scenario: there is none of the name %q", t.Scenario)
	}
	if len(t.Targets) == 0 {
		return nil, errors.New("targets: there are none")
	}
	for i, target := range t.Targets {
		if target.Figure == "" || target.Min == nil && target.Max == nil {
			return nil, fmt.Errorf("targets[%d]: needs figure, and min or max", i)
		}
	}
	return &t, nil
}

// Check returns a line for each target that the report misses. A figure that
// was not measured misses its target too: a check that looks at nothing must
// not pass.
func (t *Targets) Check(r *Report) (missed []string) {
	if t.Scenario != r.Scenario {
		return []string{fmt.Sprintf("the targets are for the scenario %s, not %s", t.Scenario, r.Scenario)}
	}
	for _, target := range t.Targets {
		v, ok := r.Figure(target.Figure)
		switch {
		case !ok:
			missed = append(missed, target.Figure+" was not measured (does it need --server-pid or --ops?)")
		case target.Max != nil && !(v <= *target.Max): // a NaN misses everything
			missed = append(missed, fmt.Sprintf("%s is %s, must be at most %s", target.Figure, number(v), number(*target.Max)))
		case target.Min != nil && !(v >= *target.Min):
			missed = append(missed, fmt.Sprintf("%s is %s, must be at least %s", target.Figure, number(v), number(*target.Min)))
		}
	}
	return missed
}
