package config

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/auth"
	"sluice/engine"
)

// shop is a configuration with every kind of value.
type shop struct {
	Doors   []string         `yaml:"doors"`
	Motto   string           `yaml:"motto"`
	Open    bool             `yaml:"open"`
	Ratio   float64          `yaml:"ratio"`
	Address netip.Addr       `yaml:"address"`
	Closed  []string         `yaml:"closed"`
	Safe    safe             `yaml:"safe"`
	Spare   []safe           `yaml:"spare"`
	Lost    []safe           `yaml:"lost"`
	Shelves map[string]shelf `yaml:"shelves"`
}

type safe struct {
	ID   string        `yaml:"id"`
	Code auth.Secret   `yaml:"code"`
	Wait time.Duration `yaml:"wait"`
}

type shelf struct {
	Boxes  int   `yaml:"boxes"`
	Volume int64 `yaml:"volume" unit:"bytes"`
}

const shopYAML = `
doors: ["north", "south"]
motto: "a \"b\" # c"
safe:
  code: hidden one
spare:
  - id: "2026-11"
    code: hidden two
  - code: hidden three
    wait: 60m
  - {}
shelves:
  plain: {}
  "two words":
    boxes: 7
    volume: 65536
  small:
    volume: 10000
`

func TestPrint(t *testing.T) {
	code := filepath.Join(t.TempDir(), "code")
	if err := os.WriteFile(code, []byte("hidden four\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := shop{Open: true, Ratio: 0.5, Address: netip.IPv6Loopback()} // the defaults
	origins, err := Decode("shop.yaml", []byte(shopYAML), &cfg, append(
		Environ([]string{"SLUICE_DOORS_2=roof", "SLUICE_SPARE_0_CODE_FILE=" + code, "SLUICE_OPEN=false"}),
		sets("safe.wait=90s", "shelves.plain.boxes=1")...)...)
	if err != nil {
		t.Fatal(err)
	}
	file := origins["spare[0].code_file"]
	file.SecretFile = "/run/code" // not as long as that of a temporary folder
	origins["spare[0].code_file"] = file
	for name, write := range map[string]func(*strings.Builder) error{
		"shop.yaml":     func(b *strings.Builder) error { return writeYAML(b, rows(cfg, origins, false)) },
		"shop-all.yaml": func(b *strings.Builder) error { return writeYAML(b, rows(cfg, origins, true)) },
		"shop.json":     func(b *strings.Builder) error { return writeJSON(b, rows(cfg, origins, false)) },
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(b.String(), "hidden") {
				t.Error("a secret is shown")
			}
			golden(t, "testdata/"+name, b.String())
		})
	}
}

// TestPrintSecretFile: the path of a secret is no secret, and lets the output
// be loaded.
func TestPrintSecretFile(t *testing.T) {
	l := &Loaded{Origins: Origins{"auth.keys[0].secret_file": {Source: File, Name: "f", Line: 3, SecretFile: "/run/key"}}}
	l.Config.Auth.Keys = []auth.Key{{Secret: testKey}}
	var b strings.Builder
	if err := l.WriteYAML(&b, false); err != nil {
		t.Fatal(err)
	}
	if want := `    - secret_file: "/run/key"`; !strings.Contains(b.String(), want) {
		t.Errorf("%s\nwant %s", b.String(), want)
	}
}

// TestReload: what is printed means what was in force.
func TestReload(t *testing.T) {
	l, err := Load("sluice.yaml", []byte("hub: {hubs: {chat: {}, prices: {max_groups: 7}}}\nengine: {loops: 2, max_head_bytes: 10000}\n"),
		append([]Setting{withKey}, sets("auth.keys[1]={id: b, secret: "+testKey+"}", "auth.origins=https://a.example,null", "engine.compression.enabled=true")...)...)
	if err != nil {
		t.Fatal(err)
	}
	checkReload(t, l)
	checkReload(t, &Loaded{Config: Config{Engine: engine.Config{Loops: 3}}})
}

func checkReload(t *testing.T, l *Loaded) {
	t.Helper()
	for _, all := range []bool{false, true} {
		var b strings.Builder
		if err := l.WriteYAML(&b, all); err != nil {
			t.Fatal(err)
		}
		var again Config
		_, err := Decode("again", []byte(b.String()), &again) // the secrets are not there again
		// Printed, because a list that is empty can be nil or not.
		want, got := fmt.Sprintf("%+v", l.Config.WithDefaults()), fmt.Sprintf("%+v", again.WithDefaults())
		if got != want {
			t.Fatalf("got  %s\nwant %s\nfrom\n%s%v", got, want, b.String(), err)
		}
	}
	var b strings.Builder
	if err := l.WriteJSON(&b, true); err != nil || !json.Valid([]byte(b.String())) {
		t.Fatalf("%v\n%s", err, b.String())
	}
}
