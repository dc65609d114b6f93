package auth_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"sluice/auth"
)

func TestValidate(t *testing.T) {
	good := []auth.Key{{Secret: key1}}
	cases := []struct {
		name string
		cfg  auth.Config
		want []string // keys
	}{
		{"least", auth.Config{Keys: good}, nil},
		{"all", auth.Config{
			Keys: []auth.Key{{ID: "a", Secret: key1}, {ID: "b", Secret: key2}}, Endpoints: []string{"https://a.com", "http://b:81/"},
			Leeway: time.Second, Cookie: "sid", MaxTokenSize: 4096, Origins: []string{"*", "https://*.a.com"},
		}, nil},
		{"no cookie", auth.Config{Keys: good, Cookie: auth.NoCookie}, nil},
		{"nothing", auth.Config{}, []string{"keys"}},
		{"many keys", auth.Config{Keys: slices.Repeat(good, 17)}, []string{"keys"}},
		{"bad keys", auth.Config{Keys: []auth.Key{{ID: "a", Secret: "short"}, {ID: "a", Secret: key1}, {}, {Secret: "\xff" + key1}}},
			[]string{"keys[0].secret", "keys[1].id", "keys[2].secret", "keys[3].secret"}},
		{"everything", auth.Config{
			Keys: good, Endpoints: []string{"https://a.com", "a.com", "https://a.com/client"}, Leeway: -1, Cookie: "a b",
			MaxTokenSize: 100, Origins: []string{"*", "a.com"},
		}, []string{"endpoints[1]", "endpoints[2]", "leeway", "cookie", "max_token_size", "origins[1]"}},
		{"too much", auth.Config{Keys: good, Leeway: time.Hour, MaxTokenSize: 1 << 20}, []string{"leeway", "max_token_size"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var keys, texts []string
			c.cfg.Validate(func(key, problem string) { keys, texts = append(keys, key), append(texts, problem) })
			if !slices.Equal(keys, c.want) {
				t.Errorf("got %q %q, want %q", keys, texts, c.want)
			}
			if text := strings.Join(texts, " "); strings.Contains(text, key1) || strings.Contains(text, "short;") {
				t.Errorf("a problem shows a key: %s", text)
			}
			if _, err := auth.NewVerifier(c.cfg); (err == nil) != (c.want == nil) {
				t.Errorf("NewVerifier: %v", err)
			}
		})
	}
}

func TestShortKeySaysHowToMakeOne(t *testing.T) {
	_, err := auth.NewVerifier(auth.Config{Keys: []auth.Key{{Secret: "0123456789"}}})
	const want = "keys[0].secret: 10 bytes; a key needs at least 32: make one with: openssl rand -hex 32"
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	cfg := auth.Config{Keys: []auth.Key{{ID: "a", Secret: key1}}}
	v, err := auth.NewVerifier(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10.3v"} {
		fmt.Fprintf(&out, verb+"\n", cfg.Keys[0].Secret)
		fmt.Fprintf(&out, verb+"\n", cfg)
		fmt.Fprintf(&out, verb+"\n", &cfg)
		fmt.Fprintf(&out, verb+"\n", v)
	}
	fmt.Fprintln(&out, cfg.Keys[0].Secret.String())
	for _, log := range []*slog.Logger{slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))} {
		log.Info("config", "secret", cfg.Keys[0].Secret, "config", cfg, "verifier", v)
	}
	for _, marshal := range []func(any) ([]byte, error){json.Marshal, yaml.Marshal} {
		text, err := marshal(cfg)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(text)
	}
	for _, form := range []string{key1, fmt.Sprintf("%x", key1), fmt.Sprintf("%X", key1), fmt.Sprint([]byte(key1)), "0x30, 0x31, 0x32"} {
		if strings.Contains(out.String(), form) {
			t.Errorf("the key is visible as %s in:\n%s", form, out.String())
		}
	}
	if !strings.Contains(out.String(), "[redacted]") {
		t.Error("nothing says that something is left out")
	}
}

func TestConfigFromYAML(t *testing.T) {
	const text = `
keys:
  - {id: new, secret: 0123456789abcdef0123456789abcdef}
endpoints: [https://a.com]
leeway: 30s
cookie: sid
max_token_size: 4096
origins: ["*"]
`
	var cfg auth.Config
	if err := yaml.Unmarshal([]byte(text), &cfg); err != nil {
		t.Fatal(err)
	}
	if k := cfg.Keys[0]; k.ID != "new" || string(k.Secret) != key1 {
		t.Errorf("key %q with %d bytes", k.ID, len(k.Secret))
	}
	if cfg.Leeway != 30*time.Second || cfg.Cookie != "sid" || cfg.MaxTokenSize != 4096 || cfg.Endpoints[0] != "https://a.com" || cfg.Origins[0] != "*" {
		t.Errorf("got %+v", cfg)
	}
}
