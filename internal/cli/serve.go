package cli

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"sluice/internal/build"
	"sluice/internal/config"
	"sluice/internal/logs"
	"sluice/internal/node"
	"sluice/internal/systemd"
)

func serve(env *Env, args []string) error {
	var s sources
	fs := flag.NewFlagSet("sluice serve", flag.ContinueOnError)
	s.register(fs)
	if err := parseFlags(env, fs, args); err != nil {
		return err
	}
	l, err := s.loadGiven(env)
	if err != nil {
		return err
	}
	l.Config.Memory.Apply(os.Getenv("GOGC"), os.Getenv("GOMEMLIMIT"))
	log := logs.Open(l.Config.Log, env.Stderr)
	defer log.Close()
	if !s.dev { // which means what it warns of
		for _, w := range l.Warnings.List {
			log.Warn("configuration", "key", w.Key, "origin", w.Origin.String(), "warning", w.Text)
		}
	}
	return run(env, l.Config, s.dev, log)
}

// signalEcho is the time after the first signal in which another one is taken
// for the same.
const signalEcho = 100 * time.Millisecond

// run serves until a signal; a second one ends the process at once.
func run(env *Env, cfg config.Config, dev bool, log *logs.Log) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)

	n, err := node.Start(context.Background(), cfg, log)
	if err != nil {
		return err
	}
	log.Info("serving", "version", build.Current().Version, "listen", fmt.Sprint(n.Addrs()), "operations", n.OpsAddr().String(),
		"max_connections", n.MaxConnections())
	if dev {
		if err := welcome(env.Stdout, cfg, n.Addrs()); err != nil {
			return err
		}
	}
	defer systemd.Watch(n.Alive)()
	tell(log, systemd.Ready)
	log.Info("stopping", "signal", (<-signals).String())
	tell(log, systemd.Stopping)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		// A supervisor that signals its whole process group sends the first
		// one twice.
		select {
		case <-time.After(signalEcho):
		case <-ctx.Done():
		}
		for len(signals) > 0 {
			<-signals
		}
		select {
		case s := <-signals:
			log.Warn("ended at once by a second signal", "signal", s.String())
			log.Close()
			os.Exit(exitError)
		case <-ctx.Done():
		}
	}()
	return n.Stop(ctx)
}

// tell gives the service manager a message. A node without one runs as well.
func tell(log *logs.Log, message func() error) {
	if err := message(); err != nil {
		log.Warn("cannot reach the service manager", "error", err)
	}
}
