//go:build linux

package bench_test

import (
	"strconv"
	"testing"
)

func itoa(n int) string { return strconv.Itoa(n) }

// BenchmarkIdleConnection reports the resident memory of the node per
// connection that is upgraded, authenticated, in one group and idle: the slope
// between 1,000 connections and 1,000 plus b.N. Run it with a fixed number:
//
//	go test ./bench -run '^$' -bench Idle -benchtime 10000x
func BenchmarkIdleConnection(b *testing.B) {
	n := startNode(b)
	r, err := run(b, "idle", "--url", "ws://"+n.addr, "--key", key, "--server-pid", itoa(n.pid),
		"--first=1000", "--connections", itoa(1000+b.N), "--hold=0s")
	if err != nil {
		b.Fatal(err)
	}
	perConnection, _ := r.Figure("rss_bytes_per_connection")
	b.ReportMetric(perConnection, "RSS-B/conn")
}
