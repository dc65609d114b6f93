package rate

import "time"

// Bucket is a Limiter for one owner: the same pace and the same burst, a plain word
// that one goroutine at a time may use, and the limit is the caller's, who has the
// same one for many buckets. The zero Bucket owes nothing.
type Bucket struct {
	paid int64 // as in Limiter
}

// Take books n units at the time now, or none: see [Limiter.Take]. The limit is in
// units per second, 0 for none.
func (b *Bucket) Take(limit int, now, n int64) bool {
	if limit == 0 {
		return true
	}
	paid, ok := Book(b.paid, now, cost(int64(limit), n), int64(time.Second))
	b.paid = paid
	return ok
}

// Spend books time: it reports whether the bucket, from which a second flows out
// in each second, still holds less than full after d more were put in. It takes
// them in either case, so whoever goes on stays above.
func (b *Bucket) Spend(now int64, d, full time.Duration) bool {
	b.paid = max(b.paid, now) + int64(d)
	return b.paid < now+int64(full)
}

// Cost returns how long the limit takes to bring n units, 0 without a limit.
func Cost(limit int, n int64) time.Duration {
	if limit == 0 {
		return 0
	}
	return time.Duration(cost(int64(limit), n))
}
