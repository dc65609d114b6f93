package wheel_test

import (
	"math"
	"slices"
	"testing"

	"sluice/engine/wheel"
)

// alarm is the smallest thing that can be armed.
type alarm struct {
	wheel.Node[alarm]
	id int
}

type alarmWheel = wheel.Wheel[alarm, *alarm]

func newAlarms(n int) []alarm {
	alarms := make([]alarm, n)
	for i := range alarms {
		alarms[i].id = i
	}
	return alarms
}

// advance moves w to now and returns the ids that fired, in order of id.
func advance(t *testing.T, w *alarmWheel, now wheel.Tick) []int {
	t.Helper()
	var fired []int
	w.Advance(now, func(a *alarm) { fired = append(fired, a.id) })
	if err := w.Check(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(fired)
	return fired
}

func TestAdvanceFiresWhatIsDue(t *testing.T) {
	const start = math.MaxUint32 - 20 // so that the long rows pass the wrap-around
	type step struct {
		now  wheel.Tick
		want []int
	}
	tests := []struct {
		name  string
		due   []wheel.Tick // relative to start, like the steps
		steps []step
	}{
		{"on its tick", []wheel.Tick{1, 2, 3}, []step{{1, []int{0}}, {2, []int{1}}, {3, []int{2}}}},
		{"never early", []wheel.Tick{5}, []step{{4, nil}, {5, []int{0}}}},
		{"several ticks at once", []wheel.Tick{1, 2, 3, 4}, []step{{3, []int{0, 1, 2}}, {9, []int{3}}}},
		{"same slot, later turn", []wheel.Tick{3, 11, 19}, []step{{3, []int{0}}, {11, []int{1}}, {19, []int{2}}}},
		{"beyond the wrap-around", []wheel.Tick{30, 100}, []step{{29, nil}, {30, []int{0}}, {100, []int{1}}}},
		{"exactly one turn away", []wheel.Tick{8}, []step{{7, nil}, {8, []int{0}}}},
		{"jump of one turn", []wheel.Tick{1, 8, 9}, []step{{8, []int{0, 1}}, {9, []int{2}}}},
		{"jump of many turns", []wheel.Tick{1, 7, 1000, 2001}, []step{{2000, []int{0, 1, 2}}, {2001, []int{3}}}},
		{"longest jump", []wheel.Tick{1, 1<<31 - 1}, []step{{1<<31 - 1, []int{0, 1}}}},
		{"due now", []wheel.Tick{0}, []step{{0, []int{0}}, {1, nil}}},
		{"due in the past", []wheel.Tick{math.MaxUint32 - 4}, []step{{0, []int{0}}, {1, nil}}},
		{"due in the past, longest jump", []wheel.Tick{math.MaxUint32 - 4}, []step{{1<<31 - 1, []int{0}}}},
		{"time does not run backwards", []wheel.Tick{5}, []step{{4, nil}, {2, nil}, {4, nil}, {5, []int{0}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := wheel.New[alarm](8, start)
			alarms := newAlarms(len(tt.due))
			for i, due := range tt.due {
				w.Arm(&alarms[i], start+due)
			}
			for _, s := range tt.steps {
				if got := advance(t, w, start+s.now); !slices.Equal(got, s.want) {
					t.Fatalf("at %d fired %v, want %v", s.now, got, s.want)
				}
			}
			if w.Len() != 0 {
				t.Errorf("%d still armed", w.Len())
			}
		})
	}
}

func TestArmMovesAndDisarmForgets(t *testing.T) {
	w := wheel.New[alarm](8, 0)
	alarms := newAlarms(3)
	for i := range alarms {
		w.Arm(&alarms[i], 4)
	}
	w.Arm(&alarms[0], 6)
	w.Disarm(&alarms[1])
	w.Disarm(&alarms[1]) // no-op

	if w.Len() != 2 || !w.Armed(&alarms[0]) || w.Armed(&alarms[1]) {
		t.Fatalf("Len %d, armed %v %v", w.Len(), w.Armed(&alarms[0]), w.Armed(&alarms[1]))
	}
	if alarms[1].Linked() {
		t.Error("a disarmed element still points to its old neighbours")
	}
	if got := advance(t, w, 5); !slices.Equal(got, []int{2}) {
		t.Errorf("at 5 fired %v", got)
	}
	if got := advance(t, w, 6); !slices.Equal(got, []int{0}) {
		t.Errorf("at 6 fired %v", got)
	}
}

func TestCallbackDisarmsItsNeighbours(t *testing.T) {
	w := wheel.New[alarm](8, 0)
	alarms := newAlarms(5)
	for i := range alarms {
		w.Arm(&alarms[i], 3)
	}
	fired := 0
	w.Advance(3, func(*alarm) {
		fired++
		for i := range alarms {
			w.Disarm(&alarms[i])
		}
	})
	if fired != 1 || w.Len() != 0 {
		t.Errorf("fired %d of one tick, %d armed; want 1 and 0", fired, w.Len())
	}
}

func TestCallbackReArmsItself(t *testing.T) {
	tests := []struct {
		name string
		due  wheel.Tick // what the callback arms at tick 3
		want wheel.Tick // when that fires
	}{
		{"due at once", 3, 4},
		{"in the past", 1, 4},
		{"next slot", 4, 4},
		{"same slot, next turn", 11, 11},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := wheel.New[alarm](8, 0)
			w.Arm(&alarm{}, 3)
			var fired []wheel.Tick
			for now := range wheel.Tick(20) {
				w.Advance(now, func(a *alarm) {
					fired = append(fired, now)
					if len(fired) == 1 {
						w.Arm(a, tt.due)
					}
				})
			}
			if want := []wheel.Tick{3, tt.want}; !slices.Equal(fired, want) {
				t.Errorf("fired at %d, want %d", fired, want)
			}
		})
	}
}

// TestCallbackMovesADueNeighbour: an element that an earlier callback re-arms
// leaves the Advance that is under way, even if its new deadline has passed too.
func TestCallbackMovesADueNeighbour(t *testing.T) {
	w := wheel.New[alarm](8, 0)
	alarms := newAlarms(2)
	w.Arm(&alarms[0], 2)
	w.Arm(&alarms[1], 2)
	var first *alarm
	w.Advance(5, func(a *alarm) {
		if first != nil {
			t.Fatal("both fired")
		}
		first = a
		w.Arm(&alarms[1-a.id], 4)
	})
	if got := advance(t, w, 5); !slices.Equal(got, []int{1 - first.id}) {
		t.Errorf("the next Advance fired %v", got)
	}
}

func TestPanicInCallbackLosesNothing(t *testing.T) {
	w := wheel.New[alarm](8, 0)
	alarms := newAlarms(6)
	for i := range alarms {
		w.Arm(&alarms[i], wheel.Tick(1+i/2)) // two in each of the ticks 1, 2, 3
	}
	seen := make([]int, len(alarms))
	for range alarms {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic of the callback did not arrive")
				}
			}()
			w.Advance(3, func(a *alarm) { seen[a.id]++; panic("a connection's bug") })
		}()
	}
	if !slices.Equal(seen, []int{1, 1, 1, 1, 1, 1}) {
		t.Errorf("fired %v, want each once", seen)
	}
	if got := advance(t, w, 20); got != nil {
		t.Errorf("then fired %v", got)
	}
}

func TestAdvanceInsideCallbackPanics(t *testing.T) {
	w := wheel.New[alarm](8, 0)
	w.Arm(&alarm{}, 1)
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	w.Advance(1, func(*alarm) { w.Advance(2, func(*alarm) {}) })
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const slots = 64
	w := wheel.New[alarm](slots, 0)
	alarms := newAlarms(1000)
	var now wheel.Tick
	rearm := func(a *alarm) { w.Arm(a, now+1+wheel.Tick(a.id)%(2*slots)) }
	allocs := testing.AllocsPerRun(1000, func() {
		for i := range alarms[:10] {
			w.Disarm(&alarms[i])
		}
		for i := range alarms {
			if !w.Armed(&alarms[i]) {
				rearm(&alarms[i])
			}
		}
		now++
		w.Advance(now, rearm)
	})
	if allocs != 0 {
		t.Errorf("%v allocations per turn, want 0", allocs)
	}
}
