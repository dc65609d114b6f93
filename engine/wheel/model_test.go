package wheel_test

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"sluice/engine/wheel"
)

// model is the naive twin of the wheel: a list of deadlines sorted by time. Its
// time is 64 bits wide and does not wrap.
type model struct {
	now     int64
	waiting []deadline
	pending []int // ids that the Advance under way still has to fire
}

type deadline struct {
	due int64
	id  int
}

func (m *model) arm(id int, due int64) {
	m.disarm(id)
	d := deadline{due, id}
	at, _ := slices.BinarySearchFunc(m.waiting, d, func(a, b deadline) int { return cmp.Compare(a.due, b.due) })
	m.waiting = slices.Insert(m.waiting, at, d)
}

func (m *model) disarm(id int) {
	m.waiting = slices.DeleteFunc(m.waiting, func(d deadline) bool { return d.id == id })
	m.pending = slices.DeleteFunc(m.pending, func(p int) bool { return p == id })
}

func (m *model) armed(id int) bool {
	return slices.Contains(m.pending, id) ||
		slices.ContainsFunc(m.waiting, func(d deadline) bool { return d.id == id })
}

// begin starts an Advance: everything due moves to pending.
func (m *model) begin(now int64) {
	m.now = max(m.now, now)
	for len(m.waiting) > 0 && m.waiting[0].due <= m.now {
		m.pending = append(m.pending, m.waiting[0].id)
		m.waiting = m.waiting[1:]
	}
}

// twin runs the same operations on a wheel and on the model. What to do is read
// from script, one byte per decision; callbacks read from the same script.
type twin struct {
	t      *testing.T
	script []byte
	slots  int
	epoch  wheel.Tick // the wheel's tick at the model's time 0
	wheel  *alarmWheel
	model  model
	alarms []alarm
}

// next returns the next byte of the script, and 0 after its end.
func (w *twin) next() int {
	if len(w.script) == 0 {
		return 0
	}
	b := w.script[0]
	w.script = w.script[1:]
	return int(b)
}

// change arms, moves or disarms one element.
func (w *twin) change() {
	a := &w.alarms[w.next()%len(w.alarms)]
	var due int64
	switch w.next() % 8 {
	case 0:
		w.wheel.Disarm(a)
		w.model.disarm(a.id)
		return
	case 1:
		due = w.model.now - int64(w.next())
	case 2: // turns away
		due = w.model.now + int64(w.next())*int64(w.slots) + int64(w.next()%3)
	case 3: // anywhere up to the limit
		due = w.model.now + 1<<(w.next()%32) - 1
	default:
		due = w.model.now + int64(w.next()%(w.slots+1))
	}
	w.wheel.Arm(a, w.epoch+wheel.Tick(due))
	w.model.arm(a.id, due)
}

func (w *twin) advance() {
	now := w.model.now
	switch w.next() % 8 {
	case 0:
		now += 1<<(w.next()%32) - 1
	case 1:
		now += int64(w.next() % (3 * w.slots))
	case 2: // a clock that went back
		now -= int64(w.next())
	default:
		now += int64(w.next() % 4)
	}
	w.advanceTo(now)
}

func (w *twin) advanceTo(now int64) {
	w.model.begin(now)
	w.wheel.Advance(w.epoch+wheel.Tick(now), w.fire)
	if len(w.model.pending) > 0 {
		w.t.Fatalf("Advance to %d did not fire %v", now, w.model.pending)
	}
}

func (w *twin) fire(a *alarm) {
	if !slices.Contains(w.model.pending, a.id) {
		w.t.Fatalf("at %d fired %d, which is not due, was moved, was disarmed or has fired", w.model.now, a.id)
	}
	w.model.disarm(a.id)
	if w.wheel.Armed(a) {
		w.t.Fatalf("%d is armed in its own callback", a.id)
	}
	for range w.next() % 4 {
		w.change()
	}
}

func (w *twin) compare() {
	if err := w.wheel.Check(); err != nil {
		w.t.Fatal(err)
	}
	if got, want := w.wheel.Len(), len(w.model.waiting); got != want {
		w.t.Fatalf("Len is %d, want %d", got, want)
	}
	for i := range w.alarms {
		if got, want := w.wheel.Armed(&w.alarms[i]), w.model.armed(i); got != want {
			w.t.Fatalf("Armed(%d) is %v, want %v", i, got, want)
		}
	}
}

// runTwin plays a script to its end, and then fires what is left.
func runTwin(t *testing.T, script []byte) {
	w := &twin{t: t, script: script, epoch: math.MaxUint32 - 50}
	w.slots = 1 << (w.next() % 6)
	w.alarms = newAlarms(1 + w.next()%64)
	w.wheel = wheel.New[alarm](w.slots, w.epoch)
	for len(w.script) > 0 {
		if w.next()%4 == 0 {
			w.advance()
		} else {
			w.change()
		}
		w.compare()
	}
	w.advanceTo(w.model.now + math.MaxInt32)
	if w.wheel.Len() != 0 {
		t.Fatalf("%d still armed at the end", w.wheel.Len())
	}
}

func randomScript(seed byte, size int) []byte {
	script := make([]byte, size)
	rand.NewChaCha8([32]byte{seed}).Read(script)
	return script
}

func TestAgainstSortedList(t *testing.T) {
	for seed := range byte(200) {
		runTwin(t, randomScript(seed, 4000))
	}
}

func FuzzAgainstSortedList(f *testing.F) {
	for seed := range byte(8) {
		f.Add(randomScript(seed, 500))
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		runTwin(t, script[:min(len(script), 1<<14)])
	})
}
