package config_test

import (
	"fmt"
	"time"

	"sluice/internal/config"
)

// Everything that is wrong is reported at once, each with its line.
func ExampleDecode() {
	var cfg struct {
		Listen  []string      `yaml:"listen"`
		Timeout time.Duration `yaml:"timeout"`
		MaxSize int           `yaml:"max_size" unit:"bytes"`
	}
	_, err := config.Decode("sluice.yaml", []byte(`
listen: [":8080"]
timeot: 10s
max_size: 64K
`), &cfg)
	fmt.Println(err)
	// Output:
	// sluice.yaml:3: timeot: unknown key; did you mean timeout?
	// sluice.yaml:4: max_size: "64K" is not a size; write one as 65536, 64KiB or 1MiB
}
