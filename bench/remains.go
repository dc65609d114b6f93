package bench

import (
	"context"
	"time"
)

// remains is what a server has when nobody is connected. What cannot be read is 0.
type remains struct {
	rss             int64
	fds, goroutines int
}

// look reads what the server has now.
func (r *Rig) look(ctx context.Context) (x remains, err error) {
	if r.hasServer() {
		x.rss = r.usage().RSS
		if x.fds, err = r.server.CountFDs(); err != nil {
			return x, err
		}
	}
	if r.Ops != "" {
		n, err := scrape(ctx, r.Ops, "go_goroutines")
		if err != nil {
			return x, err
		}
		x.goroutines = int(n)
	}
	return x, nil
}

// back waits until the server is where it was, for so long at most, and returns
// where it is.
func (r *Rig) back(ctx context.Context, before remains, most time.Duration) (x remains, err error) {
	for end := time.Now().Add(most); ; {
		x, err = r.look(ctx)
		isBack := x.rss <= before.rss && x.fds <= before.fds && x.goroutines <= before.goroutines
		if err != nil || isBack || !time.Now().Before(end) {
			return x, err
		}
		if err := sleep(ctx, min(time.Second, time.Until(end))); err != nil {
			return x, err
		}
	}
}
