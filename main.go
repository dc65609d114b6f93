// Sluice is a WebSocket gateway: it stands between long-lived clients and a
// company's services. This file hands over to the command line.
package main

import (
	_ "embed"
	"os"

	"sluice/internal/cli"
)

// devConfig is what `sluice serve --dev` runs with.
//
//go:embed configs/dev.yaml
var devConfig []byte

func main() {
	env := &cli.Env{
		Stdout:    os.Stdout,
		Stderr:    os.Stderr,
		Environ:   os.Environ(),
		Root:      os.DirFS("/"),
		DevConfig: devConfig,
	}
	os.Exit(cli.Main(env, os.Args[1:]))
}
