package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"sluice/bench"
)

// lab runs servers and loads.
type lab struct {
	binary         string
	rounds         int
	duration       time.Duration
	idle, members  int
	pinned         bool // there are two cores and a way to choose
	key            string
	dir            string   // for files of servers
	tls            []string // settings with which a node speaks TLS
	version, notes string
}

// Where the servers listen, and which core is whose.
const (
	clients    = "127.0.0.1:18080"
	overTLS    = "127.0.0.1:18443"
	operations = "127.0.0.1:18081"
	bare       = "127.0.0.1:19090"

	serverCore = "0"
	clientCore = "1"
)

func (l *lab) prepare() error {
	out, err := exec.Command(l.binary, "version").Output()
	if err != nil {
		return fmt.Errorf("%s version: %w", l.binary, err)
	}
	l.version = strings.TrimSpace(string(out))
	l.key = rand.Text() + rand.Text()
	cert, key, err := certify(l.dir)
	if err != nil {
		return err
	}
	l.tls = []string{"--set", "tls.listen=" + overTLS, "--set", "tls.certificates[0].cert=" + cert, "--set", "tls.certificates[0].key=" + key}
	_, err = exec.LookPath("taskset")
	l.pinned = err == nil && exec.Command("taskset", "-c", serverCore+","+clientCore, "true").Run() == nil
	if l.pinned {
		l.notes = "server on one core, client on another"
	} else {
		l.notes = "NOT PINNED (taskset or a second core is missing): compare with care"
	}
	return nil
}

func (l *lab) heading() string {
	return fmt.Sprintf("%s, %s; %s; %d runs each, in turn, medians; in brackets the lowest and highest.",
		time.Now().Format(time.DateOnly), l.version, l.notes, l.rounds)
}

// take measures one row and prints it.
func (l *lab) take(ctx context.Context, r row) error {
	var ours, floor, ratios []float64
	for range l.rounds {
		v, err := l.measure(ctx, r, false)
		if err != nil {
			return err
		}
		ours = append(ours, v)
		if r.floor == "" {
			continue
		}
		f, err := l.measure(ctx, r, true)
		if err != nil {
			return fmt.Errorf("%s: %w", r.floor, err)
		}
		floor = append(floor, f)
		ratios = append(ratios, v/f)
	}
	fmt.Printf("| %s | %s | %s | %s | %s | %s |\n", r.name, r.unit,
		spread(r.format, ours), spread(r.format, floor), spread("%.2f", ratios), r.floor)
	return nil
}

// spread writes the median and the range; nothing for no values.
func spread(format string, values []float64) string {
	if len(values) == 0 {
		return ""
	}
	slices.Sort(values)
	middle := values[len(values)/2]
	if len(values)%2 == 0 {
		middle = (middle + values[len(values)/2-1]) / 2
	}
	return fmt.Sprintf(format+" ("+format+" to "+format+")", middle, values[0], values[len(values)-1])
}

// measure starts a fresh server, puts the load on and reads one figure. The floor
// of what goes over TLS is the same in plain text.
func (l *lab) measure(ctx context.Context, r row, floor bool) (float64, error) {
	server := []string{"serve", "--dev", "--key", l.key, "--echo", "/echo", "--listen", clients, "--ops", operations,
		"--set", "log.level=warn", "--set", "api.public=true"}
	load, addr, node := slices.Clone(r.args), clients, "ws://"+clients
	if r.tls {
		server = append(server, l.tls...)
		if !floor {
			node = "wss://" + overTLS
		}
	}
	switch {
	case floor && !r.tls:
		addr = bare
		server = []string{"bench", "server", r.floor, "--listen", bare}
		scheme := "tcp"
		if r.floor == "gnet-upgrade" {
			scheme = "ws"
		}
		load = append(load, "--url", scheme+"://"+bare)
	case r.url != "":
		load = append(load, "--url", node+r.url)
	default:
		load = append(load, "--url", node, "--key", l.key)
	}
	if r.resume && !floor {
		load = append(load, "--resume")
	}
	if r.args[0] != "idle" {
		load = append(load, "--spin")
	}
	s, err := l.start(ctx, addr, server)
	if err != nil {
		return 0, err
	}
	defer s.stop()
	load = append(load, "--server-pid", fmt.Sprint(s.cmd.Process.Pid), "--json", "-")
	return l.load(ctx, load, r.figure)
}

// load runs the client and returns a figure of its report.
func (l *lab) load(ctx context.Context, args []string, figure string) (float64, error) {
	cmd := l.command(ctx, clientCore, append([]string{"bench"}, args...))
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("sluice bench %s: %w: %s", args[0], err, complaints.String())
	}
	var report bench.Report
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		return 0, fmt.Errorf("the report of sluice bench: %w", err)
	}
	for _, must := range []string{"connections_failed", "connections_lost", "lost", "duplicated", "reordered", "wrong_answers"} {
		if v, ok := report.Figure(must); ok && v != 0 {
			return 0, fmt.Errorf("%s is %v: the run does not count", must, v)
		}
	}
	v, ok := report.Figure(figure)
	if !ok {
		return 0, fmt.Errorf("the report has no figure %s", figure)
	}
	return v, nil
}

// command runs our program on one core.
func (l *lab) command(ctx context.Context, core string, args []string) *exec.Cmd {
	words := append([]string{l.binary}, args...)
	if l.pinned {
		words = append([]string{"taskset", "-c", core}, words...)
	}
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	return cmd
}

// server is one that runs.
type server struct{ cmd *exec.Cmd }

// start starts a server and waits until it takes connections at addr.
func (l *lab) start(ctx context.Context, addr string, args []string) (*server, error) {
	cmd := l.command(ctx, serverCore, args)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{cmd}
	for range 100 {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			return s, c.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.stop()
	return nil, fmt.Errorf("the server does not listen on %s: %s", addr, complaints.String())
}

// stop ends the server without ceremony: its clients have gone.
func (s *server) stop() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // says only that it was killed
}
