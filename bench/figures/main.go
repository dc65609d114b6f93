// Command figures takes the figures of docs/benchmarks.md: it starts servers on
// one core, loads them from the other with `sluice bench`, Sluice and the bare
// server that is its floor in turn, and prints one table in Markdown.
//
//	make figures
//
// Everything else on the machine disturbs it. The ratio of a row is the median
// of the ratios of neighbouring runs, so that what slows both is left out.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	var l lab
	var only string
	flag.StringVar(&l.binary, "binary", "bin/sluice", "the `program` to measure")
	flag.IntVar(&l.rounds, "rounds", 5, "runs of each server in each row")
	flag.DurationVar(&l.duration, "duration", 4*time.Second, "time that one run measures")
	flag.IntVar(&l.idle, "idle", 15000, "connections for the memory of an idle one")
	flag.IntVar(&l.members, "members", 10000, "connections that a message is delivered to")
	flag.StringVar(&only, "only", "", "take only the rows whose name contains this `text`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, &l, only); err != nil {
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, l *lab, only string) error {
	var err error
	if l.dir, err = os.MkdirTemp("", "figures"); err != nil {
		return err
	}
	defer os.RemoveAll(l.dir)
	if err := l.prepare(); err != nil {
		return err
	}
	fmt.Printf("%s\n\n| what | unit | Sluice | floor | ratio | |\n| --- | --- | ---: | ---: | ---: | --- |\n", l.heading())
	for _, r := range rows(l) {
		if !strings.Contains(r.name, only) {
			continue
		}
		if err := l.take(ctx, r); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return nil
}

// row is one line of the table: a scenario, what to read from its report, and
// the bare server that does the same system calls.
type row struct {
	name   string
	unit   string
	args   []string // of sluice bench
	figure string   // of the report
	format string
	floor  string // of sluice bench server; "" where there is none
	url    string // path on Sluice, where it is not the hub's

	tls, resume bool // over TLS, sessions resumed
}

const perMillion = "server_cpu_seconds_per_million"

// rows returns what is measured, in the order of the table.
func rows(l *lab) []row {
	seconds := "CPU s / million"
	fanout := func(name, floor string, more ...string) row {
		return row{name: name, unit: seconds, figure: perMillion, format: "%.2f", floor: floor,
			args: append([]string{"fanout", "--subscribers", fmt.Sprint(l.members), "--duration", l.duration.String()}, more...)}
	}
	echo := func(name string, more ...string) row {
		return row{name: name, unit: seconds, figure: perMillion, format: "%.3f", floor: "gnet-echo", url: "/echo",
			args: append([]string{"echo", "--binary", "--connections", "100", "--duration", l.duration.String()}, more...)}
	}
	secure := func(r row) row {
		r.name, r.floor, r.tls = "TLS: "+r.name, "plain text", true
		return r
	}
	storm := row{name: "storm", unit: "CPU s / 1,000", figure: "server_cpu_seconds_per_thousand", format: "%.4f", floor: "gnet-upgrade",
		args: []string{"storm", "--duration", l.duration.String()}}
	resumed := secure(storm)
	resumed.name, resumed.resume = "TLS: storm, sessions resumed", true
	return []row{
		{name: "memory of an idle connection", unit: "RSS bytes", figure: "rss_bytes_per_connection", format: "%.0f",
			args: []string{"idle", "--connections", fmt.Sprint(l.idle), "--first", "2000", "--hold", "0s", "--settle", "10s"}},
		echo("echo 128 B, 1 in flight", "--size", "128"),
		echo("echo 128 B, 16 in flight", "--size", "128", "--depth", "16"),
		echo("echo 4 KiB, 1 in flight", "--size", "4096"),
		echo("echo 4 KiB, 16 in flight", "--size", "4096", "--depth", "16"),
		fanout("fan-out to one group, 1 under way", "gnet-write"),
		fanout("fan-out to one group, 8 under way", "gnet-write-joined", "--under-way", "8"),
		fanout("fan-out over 1,000 groups", "gnet-write", "--groups", "1000"),
		{name: "publish by the HTTP API", unit: "requests / s", figure: "requests_per_second", format: "%.0f", floor: "http-empty",
			args: []string{"push", "--connections", "10", "--duration", l.duration.String()}},
		fanout("fan-out over 10,000 groups of 10", "", "--groups", fmt.Sprint(l.members), "--each", "10"),
		{name: "join and leave", unit: seconds, figure: perMillion, format: "%.2f",
			args: []string{"members", "--connections", "100", "--depth", "16", "--duration", l.duration.String()}},
		{name: "memory with a user and three groups", unit: "RSS bytes", figure: "rss_bytes_per_connection", format: "%.0f",
			args: []string{"idle", "--connections", fmt.Sprint(l.idle), "--first", "2000", "--hold", "0s", "--settle", "10s", "--groups", "1000", "--each", "3"}},
		storm,
		secure(row{name: "memory of an idle connection", unit: "RSS bytes", figure: "rss_bytes_per_connection", format: "%.0f",
			args: []string{"idle", "--connections", fmt.Sprint(min(6000, l.idle)), "--first", "1000", "--hold", "0s", "--settle", "10s"}}),
		secure(echo("echo 128 B, 1 in flight", "--size", "128")),
		secure(echo("echo 128 B, 16 in flight", "--size", "128", "--depth", "16")),
		secure(echo("echo 4 KiB, 1 in flight", "--size", "4096")),
		secure(fanout("fan-out to one group, 1 under way", "")),
		secure(fanout("fan-out to one group, 8 under way", "", "--under-way", "8")),
		secure(storm),
		resumed,
	}
}
