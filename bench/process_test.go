package bench

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const stat = "4242 (a (b) c) S 1 4242 4242 0 -1 4194304 999 0 0 0 123 45 7 8 20 0 9 0 555 1000000 300 18446744073709551615"
	u, err := parseStat([]byte(stat), 4096)
	want := Usage{RSS: 300 * 4096, User: 1230 * time.Millisecond, System: 450 * time.Millisecond}
	if err != nil || u != want {
		t.Errorf("got %+v %v, want %+v", u, err, want)
	}
	for _, bad := range []string{"", "1 (x) S 1 2", strings.Replace(stat, "123", "x", 1)} {
		if _, err := parseStat([]byte(bad), 4096); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestOwnProcess(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("SKIPPED: no /proc on this system")
	}
	p := Process{os.Getpid()}
	if u, err := p.Usage(); err != nil || u.RSS < 1<<20 {
		t.Errorf("usage %+v %v", u, err)
	}
	if n, err := p.CountFDs(); err != nil || n < 3 {
		t.Errorf("%d descriptors, %v", n, err)
	}
	if p.Cores() == "" || p.Name() == "" {
		t.Errorf("cores %q, name %q", p.Cores(), p.Name())
	}
	if _, err := (Process{1 << 30}).Usage(); err == nil || !strings.Contains(err.Error(), "--server-pid") {
		t.Errorf("no such process: %v", err)
	}
}

func TestFindMetric(t *testing.T) {
	const page = "# HELP go_goroutines x\n# TYPE go_goroutines gauge\ngo_goroutines_peak 9\ngo_goroutines 12\n"
	if v, err := findMetric(strings.NewReader(page), "go_goroutines"); err != nil || v != 12 {
		t.Errorf("got %v %v", v, err)
	}
	if _, err := findMetric(strings.NewReader(page), "nothing"); err == nil {
		t.Error("found a metric that is not there")
	}
}
