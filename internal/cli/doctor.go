package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"sluice/internal/doctor"
)

// diagnose says whether this machine can hold a number of connections.
func diagnose(env *Env, args []string) error {
	var (
		s           sources
		connections int
	)
	fs := flag.NewFlagSet("sluice doctor", flag.ContinueOnError)
	s.register(fs)
	fs.IntVar(&connections, "connections", 0, "the `number` of connections to hold (default engine.max_connections where it is set, else 100000)")
	if err := parseFlags(env, fs, args); err != nil {
		return err
	}
	if connections < 0 || connections > maxConnections {
		return usageError{fmt.Errorf("--connections %d is not between 1 and %d", connections, maxConnections)}
	}
	if connections == 0 {
		var err error
		if connections, err = s.connections(env); err != nil {
			return err
		}
	}
	m := doctor.Machine{Root: env.Root, PageSize: os.Getpagesize(), Procs: runtime.GOMAXPROCS(0)}
	return prescribe(env.Stdout, connections, m.Examine(connections))
}

// maxConnections is far above what one machine can hold, and small enough for
// every product of it.
const maxConnections = 100_000_000

// connections returns the number that the configuration asks for.
func (s *sources) connections(env *Env) (int, error) {
	if s.given(env) {
		l, err := s.load(env)
		if err != nil {
			return 0, err
		}
		if n := l.Config.Engine.MaxConnections; n > 0 {
			return min(n, maxConnections), nil
		}
	}
	return 100_000, nil
}

// prescribe prints the findings as a table; what is to be done about one stands
// below it.
func prescribe(w io.Writer, connections int, findings []doctor.Finding) error {
	verdicts := map[doctor.Verdict]int{}
	for _, f := range findings {
		verdicts[f.Verdict]++
	}
	if verdicts[doctor.OK] <= 1 && verdicts[doctor.Unknown] > 1 { // GOMAXPROCS is known everywhere
		return errors.New("doctor reads the limits of Linux in /proc and /sys, and there are none here")
	}
	title := fmt.Sprintf("for %d connections", connections)
	rows := []doctor.Finding{{Check: title, Value: "here", Needed: "needed"}}
	rows = append(rows, findings...)
	var check, value, needed int
	for _, r := range rows {
		check, value, needed = max(check, len(r.Check)), max(value, len(r.Value)), max(needed, len(r.Needed))
	}
	var sysctl bool
	for i, r := range rows {
		verdict := "verdict"
		if i > 0 {
			verdict = r.Verdict.String()
		}
		fmt.Fprintf(w, "%-*s  %*s  %*s  %s\n", check, r.Check, value, r.Value, needed, r.Needed, verdict)
		if r.Raise != "" {
			fmt.Fprintf(w, "    %s\n", r.Raise)
			sysctl = sysctl || strings.Contains(r.Raise, "sysctl -w")
		}
	}
	if sysctl {
		fmt.Fprint(w, "\nWhat sysctl -w sets is gone after a restart; to keep it, put name=value into /etc/sysctl.d/90-sluice.conf.\n")
	}
	if low := verdicts[doctor.TooLow]; low > 0 {
		return fmt.Errorf("%w too low for %d connections", counted(low, "limit"), connections)
	}
	return nil
}
