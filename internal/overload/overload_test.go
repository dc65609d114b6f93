package overload

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

// TestSteps follows one mark of 100 through what is measured at each tick.
func TestSteps(t *testing.T) {
	for _, tt := range []struct {
		name     string
		measures []int64
		want     string // level at each tick: n, r, s
		ticks    int
	}{
		{"not at once", []int64{101, 100, 101, 101, 101, 101, 101}, "nnnrrrs", 2},
		{"below", []int64{0, 50, 100, 99}, "nnnn", 0},
		{"at once above", []int64{101}, "r", 0},
		{"sheds when refusing does not help", []int64{101, 101, 101, 101, 101}, "rrrss", 0},
		{"a moment of relief begins patience anew", []int64{101, 101, 101, 100, 101, 101, 101, 101}, "rrrrrrrs", 0},
		{"refuses until calm", []int64{101, 89, 89, 89}, "rrrn", 0},
		{"calm is in a row", []int64{101, 89, 89, 95, 89, 89, 89}, "rrrrrrn", 0},
		{"between the marks nothing changes", []int64{101, 95, 95, 95, 95, 95, 95}, "rrrrrrr", 0},
		{"nor does it begin there", []int64{95, 99, 100, 90}, "nnnn", 0},
		{"shedding goes on down to the low mark", []int64{200, 200, 200, 200, 99, 90, 89, 89, 89, 89}, "rrrsssrrnn", 0},
		{"back to shedding only after patience", []int64{101, 101, 101, 101, 80, 101, 101, 101, 101}, "rrrsrrrrs", 0},
		{"again from the beginning", []int64{101, 0, 0, 0, 101}, "rrrnr", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var (
				value   int64
				refused string
				sheds   int
				changes []string
			)
			g := New(Options{
				Marks:   []Mark{{Name: "queue", Limit: 100, Ticks: tt.ticks, Measure: func() int64 { return value }}},
				Refuse:  func(name string) { refused = name },
				Shed:    func() { sheds++ },
				Changed: func(c Change) { changes = append(changes, fmt.Sprintf("%v>%v", c.From, c.To)) },
			})
			got, level := "", Normal
			for _, value = range tt.measures {
				before, shedsBefore := len(changes), sheds
				g.Tick()
				got += g.Level().String()[:1]
				if (refused != "") != (g.Level() > Normal) {
					t.Errorf("level %v refuses %q", g.Level(), refused)
				}
				if (sheds > shedsBefore) != (g.Level() == Shedding) {
					t.Errorf("level %v: %d sheds", g.Level(), sheds-shedsBefore)
				}
				want := 0
				if g.Level() != level {
					want = 1
				}
				if n := len(changes) - before; n != want {
					t.Errorf("%d changes told from %v to %v", n, level, g.Level())
				}
				level = g.Level()
			}
			if got != tt.want {
				t.Errorf("levels %s, want %s (%s)", got, tt.want, strings.Join(changes, " "))
			}
		})
	}
}

// TestReason: of several marks the worst names the reason, a mark without a limit
// is not looked at, and the reason is told when it changes only.
func TestReason(t *testing.T) {
	values := map[string]int64{}
	measure := func(name string) func() int64 { return func() int64 { return values[name] } }
	var told []string
	g := New(Options{
		Marks: []Mark{
			{Name: "memory", Limit: 100, Measure: measure("memory")},
			{Name: "lag", Measure: func() int64 { t.Error("measured without a limit"); return 1 << 40 }},
			{Name: "queue", Limit: 100, Measure: measure("queue")},
		},
		Refuse:  func(name string) { told = append(told, name) },
		Shed:    func() {},
		Changed: func(Change) {},
	})
	for _, step := range []struct{ memory, queue int64 }{
		{0, 0}, {0, 101}, {0, 101}, {101, 101}, // memory is named first
		{101, 101}, // queue sheds
		{0, 0}, {0, 0}, {0, 0}, {0, 0}, {0, 0},
	} {
		values["memory"], values["queue"] = step.memory, step.queue
		g.Tick()
	}
	if got := strings.Join(told, ","); got != "queue,memory,queue,memory," {
		t.Errorf("told %q", got)
	}
	n := 0
	g.Levels(func(name string, l Level) {
		n++
		if name == "lag" || l != Normal {
			t.Errorf("%s is %v", name, l)
		}
	})
	if n != 2 {
		t.Errorf("%d marks", n)
	}
}

// TestItRecovers: whatever has been, some quiet ticks end it, and a level never
// jumps over another on its way up.
func TestItRecovers(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	value := int64(0)
	g := New(Options{
		Marks:  []Mark{{Name: "lag", Limit: 1000, Measure: func() int64 { return value }}},
		Refuse: func(string) {}, Shed: func() {},
		Changed: func(c Change) {
			if d := c.To - c.From; d != 1 && d != -1 {
				t.Errorf("from %v to %v", c.From, c.To)
			}
		},
	})
	for range 1000 {
		for range r.IntN(20) {
			value = r.Int64N(1300)
			g.Tick()
		}
		value = 0
		for range calm + 1 {
			g.Tick()
		}
		if g.Level() != Normal {
			t.Fatalf("still %v", g.Level())
		}
	}
}

// TestMemory: what is held is seen, and what is garbage is not.
func TestMemory(t *testing.T) {
	const size = 64 << 20
	debug.FreeOSMemory()
	before := Memory()
	held := make([]byte, size)
	for i := range held {
		held[i] = 1
	}
	debug.FreeOSMemory()
	with := Memory()
	if grown := with - before; grown < size*9/10 || grown > size*3/2 {
		t.Errorf("%d bytes more with %d held", grown, size)
	}
	runtime.KeepAlive(held)
	debug.FreeOSMemory()
	if left := Memory() - before; left > size/2 {
		t.Errorf("%d bytes more after they were let go", left)
	}
}

func TestMemoryMark(t *testing.T) {
	was := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(was)
	for _, tt := range []struct {
		limit      int64
		configured int
		want       int64
	}{
		{1<<63 - 1, 0, 0},
		{1<<63 - 1, 5 << 30, 5 << 30},
		{1000 << 20, 0, 900 << 20},
		{1000 << 20, 20 << 20, 20 << 20},
	} {
		debug.SetMemoryLimit(tt.limit)
		if got := MemoryMark(tt.configured); got/10 != tt.want/10 {
			t.Errorf("limit %d, configured %d: %d, want %d", tt.limit, tt.configured, got, tt.want)
		}
	}
}

func TestConfig(t *testing.T) {
	d := Config{}.WithDefaults(1000)
	if d != (Config{LoopLag: time.Second, Queue: 900}) {
		t.Errorf("defaults %+v", d)
	}
	for _, tt := range []struct {
		c    Config
		want string
	}{
		{Config{}, ""},
		{Config{Memory: 1 << 30, LoopLag: time.Second, Queue: 1}, ""},
		{Config{Memory: -1, LoopLag: -1, Queue: -1}, "memory loop_lag queue "},
		{Config{Memory: 1000, LoopLag: time.Millisecond}, "memory loop_lag "},
	} {
		got := ""
		tt.c.Validate(func(key, _ string) { got += key + " " })
		if got != tt.want {
			t.Errorf("%+v: %q", tt.c, got)
		}
	}
}
