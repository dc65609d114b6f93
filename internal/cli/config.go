package cli

import (
	"flag"
	"fmt"
)

// printConfig prints what a node would run with.
func printConfig(env *Env, args []string) error {
	var (
		s      sources
		format string
		all    bool
	)
	fs := flag.NewFlagSet("sluice config", flag.ContinueOnError)
	s.register(fs)
	fs.StringVar(&format, "format", "yaml", "`yaml`, which can be loaded again, or json for programs")
	fs.BoolVar(&all, "all", false, "also print what is empty, and what hubs and keys do not set themselves")
	if err := parseFlags(env, fs, args); err != nil {
		return err
	}
	if format != "yaml" && format != "json" {
		return usageError{fmt.Errorf("--format %q is neither yaml nor json", format)}
	}
	l, err := s.load(env)
	if err != nil && (l == nil || s.given(env)) {
		return err // what cannot start has no configuration in force
	}
	if format == "json" {
		return l.WriteJSON(env.Stdout, all)
	}
	return l.WriteYAML(env.Stdout, all)
}
