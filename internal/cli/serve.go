package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"sluice/auth"
	"sluice/internal/build"
	"sluice/internal/config"
	"sluice/internal/node"
)

// serveFlags are the flags of `sluice serve`. They come after the file.
type serveFlags struct {
	config string
	listen list
	ops    string
	dev    bool
	key    string
	echo   string
}

func serve(env *Env, args []string) error {
	var f serveFlags
	fs := flag.NewFlagSet("sluice serve", flag.ContinueOnError)
	fs.StringVar(&f.config, "config", "", "read the configuration from this YAML `file`")
	fs.Var(&f.listen, "listen", "`address` for clients, host:port or unix:/path; may be repeated; replaces the file's")
	fs.StringVar(&f.ops, "ops", "", "`address` for /healthz, /readyz and /metrics")
	fs.BoolVar(&f.dev, "dev", false, "development defaults: this machine only, any origin, any hub, a generated key")
	fs.StringVar(&f.key, "key", "", "the `secret` that signs client tokens; replaces the file's keys (others on this machine can see it: prefer the file)")
	fs.StringVar(&f.echo, "echo", "", "send every message back on this `path`, without a token")
	if err := parseFlags(env, fs, args); err != nil {
		return err
	}
	cfg, err := f.configuration(env)
	if err != nil {
		return usageError{err}
	}
	log := slog.New(slog.NewTextHandler(env.Stderr, nil))
	return run(env, cfg, f.dev, log)
}

// configuration is the file or the development defaults, and the flags over
// them.
func (f *serveFlags) configuration(env *Env) (config.Config, error) {
	switch {
	case f.dev && f.config != "":
		return config.Config{}, errors.New("--dev and --config exclude each other")
	case f.dev:
		if f.key == "" {
			f.key = generateKey()
		}
		return config.Parse("development defaults", env.DevConfig, f.apply)
	case f.config == "" && f.key == "":
		return config.Config{}, errors.New("give --config FILE, or --dev to try Sluice on this machine")
	}
	return config.Load(f.config, f.apply)
}

// apply puts the flags over what the file says.
func (f *serveFlags) apply(cfg *config.Config) {
	if f.key != "" {
		cfg.Auth.Keys = []auth.Key{{Secret: auth.Secret(f.key)}}
	}
	if len(f.listen) > 0 {
		cfg.Listen = f.listen
	}
	if f.ops != "" {
		cfg.Ops = f.ops
	}
	if f.echo != "" {
		cfg.EchoPath = f.echo
	}
}

func generateKey() string {
	var key [32]byte
	rand.Read(key[:]) // never fails
	return hex.EncodeToString(key[:])
}

// run serves until a signal; a second one ends the process at once.
func run(env *Env, cfg config.Config, dev bool, log *slog.Logger) error {
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
	log.Info("stopping", "signal", (<-signals).String())
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case s := <-signals:
			log.Warn("ended at once by a second signal", "signal", s.String())
			os.Exit(exitError)
		case <-ctx.Done():
		}
	}()
	if err := n.Stop(ctx); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}
