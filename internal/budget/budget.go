// Package budget counts what many hold together against a limit.
package budget

import (
	"math"
	"sync/atomic"
)

// Budget is bytes that several owners hold, on any number of goroutines. It does
// not stop anybody: who finds it over its limit has to see to it that it is not.
type Budget struct {
	limit int64
	used  atomic.Int64
}

// New returns a budget of so many bytes; 0 stands for no limit.
func New(limit int) *Budget {
	if limit == 0 {
		limit = math.MaxInt
	}
	return &Budget{limit: int64(limit)}
}

// Add books n bytes more, or less, and tells whether that is too much in all.
func (b *Budget) Add(n int) (over bool) { return b.used.Add(int64(n)) > b.limit }

// Used returns the bytes booked.
func (b *Budget) Used() int64 { return b.used.Load() }

// Limit returns the most there should be.
func (b *Budget) Limit() int64 { return b.limit }

// Over tells whether there is more.
func (b *Budget) Over() bool { return b.Used() > b.limit }
