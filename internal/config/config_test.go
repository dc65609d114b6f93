package config

import (
	"os"
	"path/filepath"
	"testing"

	"sluice/auth"
)

// TestReadyFiles loads every file of configs/ as its users will.
func TestReadyFiles(t *testing.T) {
	files, err := filepath.Glob("../../configs/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, err := Load(file, func(c *Config) {
				if filepath.Base(file) == "dev.yaml" { // its key is made at start
					c.Auth.Keys = []auth.Key{{Secret: "0123456789abcdef0123456789abcdef"}}
				}
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAmend: what overrides the file is judged in its place.
func TestAmend(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(file, []byte("auth:\n  keys:\n    - secret: short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file, func(*Config) {}); err == nil {
		t.Error("a short key was accepted")
	}
	if _, err := Load(file, func(c *Config) { c.Auth.Keys[0].Secret = "0123456789abcdef0123456789abcdef" }); err != nil {
		t.Errorf("the file's key, not the one over it, was judged: %v", err)
	}
	if _, err := Load("", func(*Config) {}); err == nil {
		t.Error("no key at all was accepted")
	}
}
