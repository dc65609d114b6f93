package cli

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"sluice/internal/config"
)

// sources are the flags that say what the configuration is. Every command that
// needs one has them all, so that it can be asked about what serve will do.
type sources struct {
	config string
	dev    bool
	listen list
	ops    string
	key    string
	echo   string
	set    list
}

var errNoSource = usageError{errors.New("give --config FILE, or --dev to try Sluice on this machine")}

func (s *sources) register(fs *flag.FlagSet) {
	fs.StringVar(&s.config, "config", "", "read the configuration from this YAML `file`")
	fs.BoolVar(&s.dev, "dev", false, "development defaults: this machine only, any origin, any hub, a generated key")
	fs.Var(&s.listen, "listen", "`address` for clients, host:port or unix:/path; may be repeated; replaces the file's")
	fs.StringVar(&s.ops, "ops", "", "`address` for /healthz, /readyz and /metrics")
	fs.StringVar(&s.key, "key", "", "the `secret` that signs client tokens; replaces the file's keys (others on this machine can see it: prefer the file)")
	fs.StringVar(&s.echo, "echo", "", "send every message back on this `path`, without a token")
	fs.Var(&s.set, "set", "give any key its value, as `key=value`; may be repeated")
}

// given reports whether there is any configuration but the defaults.
func (s *sources) given(env *Env) bool {
	return s.config != "" || s.dev || len(config.Environ(env.Environ)) > 0 ||
		len(s.listen)+len(s.ops)+len(s.key)+len(s.echo)+len(s.set) > 0
}

// loadGiven is load for commands that make no sense of the defaults alone.
func (s *sources) loadGiven(env *Env) (*config.Loaded, error) {
	if !s.given(env) {
		return nil, errNoSource
	}
	return s.load(env)
}

// load reads all sources. The error of a configuration that cannot be used is a
// usageError around a *config.Problems.
func (s *sources) load(env *Env) (*config.Loaded, error) {
	name, data, err := s.file(env)
	if err != nil {
		return nil, usageError{err}
	}
	var settings []config.Setting
	if s.dev {
		settings = append(settings, flagSetting("--dev", "auth.keys", asJSON([]signingKey{{generateKey()}})))
	}
	settings = append(settings, config.Environ(env.Environ)...)
	over, err := s.settings()
	if err != nil {
		return nil, usageError{err}
	}
	l, err := config.Load(name, data, append(settings, over...)...)
	if err != nil {
		return l, usageError{err}
	}
	return l, nil
}

// file returns the YAML that everything else is put over.
func (s *sources) file(env *Env) (name string, data []byte, err error) {
	switch {
	case s.dev && s.config != "":
		return "", nil, errors.New("--dev and --config exclude each other")
	case s.dev:
		return "development defaults", env.DevConfig, nil
	case s.config == "":
		return "", nil, nil
	}
	data, err = os.ReadFile(s.config)
	if err != nil {
		return "", nil, fmt.Errorf("read the configuration: %w", err)
	}
	return s.config, data, nil
}

// signingKey is an item of auth.keys in JSON.
type signingKey struct {
	Secret string `json:"secret"`
}

// settings are the flags that stand for keys; --set, which can name any of
// them, comes last.
func (s *sources) settings() ([]config.Setting, error) {
	var all []config.Setting
	if len(s.listen) > 0 {
		all = append(all, flagSetting("--listen", "listen", asJSON(s.listen)))
	}
	if s.ops != "" {
		all = append(all, flagSetting("--ops", "ops", s.ops))
	}
	if s.key != "" {
		all = append(all, flagSetting("--key", "auth.keys", asJSON([]signingKey{{s.key}})))
	}
	if s.echo != "" {
		all = append(all, flagSetting("--echo", "echo_path", s.echo))
	}
	for _, arg := range s.set {
		name, text, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--set %s: write key=value, as --set engine.heartbeat_interval=20s", arg)
		}
		all = append(all, flagSetting("--set", name, text))
	}
	return all, nil
}

func flagSetting(name, key, text string) config.Setting {
	return config.Setting{Origin: config.Origin{Source: config.Flag, Name: name}, Key: key, Text: text}
}

// asJSON is text that means v whatever characters are in it.
func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and lists of them always can
	}
	return string(text)
}

func generateKey() string {
	var key [32]byte
	rand.Read(key[:]) // never fails
	return hex.EncodeToString(key[:])
}
