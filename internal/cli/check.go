package cli

import (
	"errors"
	"flag"
	"fmt"
	"strings"

	"sluice/internal/config"
)

// check reports what is wrong with a configuration without starting anything.
// Warnings do not make it fail.
func check(env *Env, args []string) error {
	var s sources
	fs := flag.NewFlagSet("sluice check", flag.ContinueOnError)
	s.register(fs)
	if err := parseFlags(env, fs, args); err != nil {
		return err
	}
	l, err := s.loadGiven(env)
	if problems, ok := errors.AsType[*config.Problems](err); ok {
		fmt.Fprintln(env.Stdout, problems)
		return usageError{counted(len(problems.List), "problem")}
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(l.Warnings.Error()) {
		fmt.Fprintln(env.Stdout, "warning:", strings.TrimSpace(line))
	}
	fmt.Fprintln(env.Stdout, "ok")
	return nil
}

func counted(n int, what string) error {
	if n == 1 {
		return errors.New("1 " + what)
	}
	return fmt.Errorf("%d %ss", n, what)
}
