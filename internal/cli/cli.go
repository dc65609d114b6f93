// Package cli is the command line of Sluice: one file per command.
package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// Exit codes.
const (
	exitOK    = 0
	exitError = 1 // it was tried and failed
	exitUsage = 2 // the command line or the configuration is wrong
)

// command is one word after "sluice".
type command struct {
	name string
	help string // one line
	run  func(env *Env, args []string) error
}

// Env is what the commands need of the world.
type Env struct {
	Stdout, Stderr io.Writer
	// Environ holds the environment, as NAME=value.
	Environ []string
	// Root is the root of the file system with /proc and /sys.
	Root fs.FS
	// DevConfig is the YAML of the development defaults.
	DevConfig []byte
}

// usageError is a mistake on the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func commands() []command {
	return []command{
		{"serve", "run a node", serve},
		{"token", "print a client token", token},
		{"send", "send a message to everybody, a group, a user or a connection", send},
		{"groups", "list and change who is in a group", groups},
		{"users", "list and change what is about a user", users},
		{"connections", "ask about and change one connection", connections},
		{"close", "end connections", closeConnections},
		{"addresses", "say from which addresses clients may connect, and end bans", addresses},
		{"check", "report everything that is wrong with a configuration", check},
		{"config", "print the configuration in force and where each value comes from", printConfig},
		{"explain", "say which rule lets a client in or refuses it, and why", explainRules},
		{"doctor", "say what on this machine would stop that many connections", diagnose},
		{"bench", "put a server under load and say what it cost", benchmark},
		{"version", "print version and commit", version},
	}
}

// Main runs the command line and returns the exit code.
func Main(env *Env, args []string) int {
	if len(args) == 0 {
		usage(env.Stderr)
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		usage(env.Stdout)
		return exitOK
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return exitCode(env, c.name, c.run(env, args[1:]))
		}
	}
	fmt.Fprintf(env.Stderr, "sluice: there is no command %q; `sluice help` lists them\n", args[0])
	return exitUsage
}

func exitCode(env *Env, name string, err error) int {
	var mistake usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &mistake):
		fmt.Fprintf(env.Stderr, "sluice %s: %v\n", name, err)
		return exitUsage
	default:
		fmt.Fprintf(env.Stderr, "sluice %s: %v\n", name, err)
		return exitError
	}
}

func usage(w io.Writer) {
	fmt.Fprint(w, "Sluice is a WebSocket gateway.\n\nusage: sluice COMMAND [flags]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-11s %s\n", c.name, c.help)
	}
	fmt.Fprint(w, "\n`sluice COMMAND --help` tells the flags of one.\n")
}

// parseFlags parses the flags of a command that takes no other arguments.
func parseFlags(env *Env, fs *flag.FlagSet, args []string) error {
	var out strings.Builder
	fs.SetOutput(&out)
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(env.Stdout, out.String())
		return err
	}
	if err != nil {
		return usageError{fmt.Errorf("%w; --help tells the flags", err)}
	}
	if fs.NArg() > 0 {
		return usageError{fmt.Errorf("unexpected argument %q; --help tells the flags", fs.Arg(0))}
	}
	return nil
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(v string) error {
	*l = append(*l, v)
	return nil
}
