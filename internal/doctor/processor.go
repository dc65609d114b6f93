package doctor

import (
	"fmt"
	"math"
	"path"
	"strconv"
)

// processors: more loops than the quota has time for are stopped in the middle
// of their work, for everybody to see as latency.
func (m Machine) processors(int64) (Finding, bool) {
	f := Finding{Check: "processors used (GOMAXPROCS)", Value: strconv.Itoa(m.Procs), Needed: "any"}
	quota := math.Inf(1)
	for _, dir := range m.cgroups("cpu") {
		quota = min(quota, m.quota(dir, "cpu.max", 0, "cpu.max", 1), m.quota(dir, "cpu.cfs_quota_us", 0, "cpu.cfs_period_us", 0))
	}
	if math.IsInf(quota, 1) {
		return f, true
	}
	f.Needed = fmt.Sprintf("at most %.3g (quota)", quota)
	if float64(m.Procs) > max(2, math.Ceil(quota)) {
		f.Verdict = Note
		f.Raise = "unset GOMAXPROCS and engine.loops, so that Go follows the quota, or raise the quota"
	}
	return f, true
}

// quota returns the processors that a control group may use.
func (m Machine) quota(dir, file string, i int, periodFile string, j int) float64 {
	time, ok := m.number(path.Join(dir, file), i)
	period, ok2 := m.number(path.Join(dir, periodFile), j)
	if !ok || !ok2 || time <= 0 || time == unlimited || period <= 0 {
		return math.Inf(1)
	}
	return float64(time) / float64(period)
}
