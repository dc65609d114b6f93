package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"sluice/bench"
	"sluice/bench/gnetserver"
)

// benchOutput is where the report of a benchmark goes.
type benchOutput struct {
	json, html, targets string
}

func (o *benchOutput) flags(fs *flag.FlagSet) {
	fs.StringVar(&o.json, "json", "", "write everything as JSON to this `file`, - for standard output instead of the table")
	fs.StringVar(&o.html, "html", "", "write a page with charts to this `file`")
	fs.StringVar(&o.targets, "targets", "", "compare the figures with this YAML `file`; exit status 1 if one misses")
}

func benchmark(env *Env, args []string) error {
	if len(args) == 0 {
		benchUsage(env.Stderr)
		return usageError{errors.New("which scenario?")}
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		benchUsage(env.Stdout)
		return nil
	case "server":
		return benchServer(env, args[1:])
	}
	for _, e := range bench.Scenarios() {
		if e.Name == args[0] {
			return benchScenario(env, e, args[1:])
		}
	}
	return usageError{fmt.Errorf("there is no scenario %q; `sluice bench help` lists them", args[0])}
}

func benchUsage(w io.Writer) {
	fmt.Fprint(w, "Puts a server on this machine under load and says what it cost.\n\nusage: sluice bench SCENARIO [flags]\n\n")
	for _, e := range bench.Scenarios() {
		fmt.Fprintf(w, "  %-8s %s\n", e.Name, e.Help)
	}
	fmt.Fprint(w, "  server   run a bare server to compare with: ", strings.Join(gnetserver.Names(), ", "), "\n")
	fmt.Fprint(w, "\n`sluice bench SCENARIO --help` tells the flags of one.\n")
}

func benchScenario(env *Env, e bench.Entry, args []string) error {
	var (
		common   bench.Common
		output   benchOutput
		scenario = e.New()
		fs       = flag.NewFlagSet("sluice bench "+e.Name, flag.ContinueOnError)
	)
	scenario.Flags(fs)
	common.Flags(fs)
	output.flags(fs)
	fs.Usage = func() {
		fmt.Fprintf(fs.Output(), "%s: %s\n\nexample:\n  sluice bench %s %s\n\nflags:\n", e.Name, e.Help, e.Name, e.Example)
		fs.PrintDefaults()
	}
	if err := parseFlags(env, fs, args); err != nil {
		return err
	}
	if err := errors.Join(scenario.Validate(), common.Validate()); err != nil {
		return usageError{err}
	}
	targets, err := output.readTargets()
	if err != nil {
		return usageError{err}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	report, err := bench.Run(ctx, e.Name, scenario, common, terminal(env.Stderr))
	if err != nil {
		return err
	}
	report.Config = settings(fs)
	if err := output.write(env, report); err != nil {
		return err
	}
	if targets != nil {
		if missed := targets.Check(report); len(missed) > 0 {
			return fmt.Errorf("targets of %s missed:\n  %s", output.targets, strings.Join(missed, "\n  "))
		}
	}
	return nil
}

// settings returns the flags with their values, without what must stay secret
// and without where the report goes.
func settings(fs *flag.FlagSet) map[string]string {
	values := map[string]string{}
	fs.VisitAll(func(f *flag.Flag) {
		switch f.Name {
		case "key", "token", "json", "html", "targets":
		default:
			values[f.Name] = f.Value.String()
		}
	})
	return values
}

func (o *benchOutput) readTargets() (*bench.Targets, error) {
	if o.targets == "" {
		return nil, nil
	}
	text, err := os.ReadFile(o.targets)
	if err != nil {
		return nil, fmt.Errorf("--targets: %w", err)
	}
	t, err := bench.ParseTargets(text)
	if err != nil {
		return nil, fmt.Errorf("--targets %s: %w", o.targets, err)
	}
	return t, nil
}

func (o *benchOutput) write(env *Env, r *bench.Report) error {
	var err error
	switch o.json {
	case "":
		err = r.WriteTable(env.Stdout)
	case "-":
		err = r.WriteJSON(env.Stdout)
	default:
		err = errors.Join(r.WriteTable(env.Stdout), writeFile(o.json, r.WriteJSON))
	}
	if o.html != "" {
		err = errors.Join(err, writeFile(o.html, r.WriteHTML))
	}
	return err
}

func writeFile(path string, write func(io.Writer) error) error {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// terminal returns w if people read it as it comes, else nil.
func terminal(w io.Writer) io.Writer {
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return w
		}
	}
	return nil
}

// benchServer runs a bare server until a signal.
func benchServer(env *Env, args []string) error {
	var listen string
	fs := flag.NewFlagSet("sluice bench server", flag.ContinueOnError)
	fs.StringVar(&listen, "listen", "127.0.0.1:9090", "`address` on this machine")
	fs.Usage = func() {
		fmt.Fprintf(fs.Output(), `usage: sluice bench server NAME [flags]

  gnet-echo          writes back what it reads
  gnet-write         writes each message to each member of its group, one write each
  gnet-write-joined  the same, with one write for messages that came together
  gnet-upgrade       answers handshakes and closes, without reading them
  http-empty         answers every HTTP request with 202

Measure with --url tcp://ADDRESS (gnet-upgrade: ws://ADDRESS) and without --key.

flags:
`)
		fs.PrintDefaults()
	}
	name := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	if err := parseFlags(env, fs, args); err != nil {
		return err
	}
	if !slices.Contains(gnetserver.Names(), name) {
		return usageError{fmt.Errorf("which server? %s", strings.Join(gnetserver.Names(), ", "))}
	}
	addr, err := net.ResolveTCPAddr("tcp", listen)
	if err != nil {
		return usageError{fmt.Errorf("--listen: %w", err)}
	}
	if !addr.IP.IsLoopback() {
		return usageError{fmt.Errorf("--listen %s: a bare server has no limits; this machine only, such as 127.0.0.1:9090", listen)}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return gnetserver.Run(ctx, name, addr.String(), func() { fmt.Fprintf(env.Stderr, "%s listens on %s\n", name, addr) })
}
