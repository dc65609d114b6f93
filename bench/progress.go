package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// progress is the line at the bottom of a terminal. Any goroutine.
type progress struct {
	out  io.Writer // nil for no terminal
	name string

	mu    sync.Mutex
	phase string
	since time.Time
	drawn bool
}

// phase says what happens now.
func (r *Rig) phase(text string) {
	p := r.progress
	p.mu.Lock()
	p.phase, p.since = text, time.Now()
	p.mu.Unlock()
}

func (p *progress) draw(open, failed int) {
	if p.out == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	line := fmt.Sprintf("%s: %s %v, %d open", p.name, p.phase, time.Since(p.since).Round(time.Second), open)
	if failed > 0 {
		line += fmt.Sprintf(", %d failed", failed)
	}
	fmt.Fprintf(p.out, "\r\x1b[K%s", line)
	p.drawn = true
}

func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// list writes counts by reason, the most frequent first.
func list(counts map[string]int) string {
	reasons := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	for i, reason := range reasons {
		reasons[i] = fmt.Sprintf("%d × %s", counts[reason], reason)
	}
	return strings.Join(reasons, ", ")
}
