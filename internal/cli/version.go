package cli

import (
	"flag"
	"fmt"

	"sluice/internal/build"
)

func version(env *Env, args []string) error {
	if err := parseFlags(env, flag.NewFlagSet("sluice version", flag.ContinueOnError), args); err != nil {
		return err
	}
	fmt.Fprintln(env.Stdout, build.Current())
	return nil
}
