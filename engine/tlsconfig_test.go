package engine

import (
	"crypto/x509"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/engine/certs"
	"sluice/internal/testkit"
)

func TestTLSConfigProblems(t *testing.T) {
	ca, dir := testkit.NewAuthority(t), t.TempDir()
	cert, key := testkit.WriteCertificate(t, dir, "one", ca.Issue("one.example", nil))
	_, otherKey := testkit.WriteCertificate(t, dir, "other", ca.Issue("other.example", nil))
	good := []certs.Pair{{Cert: cert, Key: key}}
	for _, tt := range []struct {
		name string
		cfg  TLSConfig
		want []string // keys
	}{
		{"empty", TLSConfig{}, nil},
		{"the least", TLSConfig{Listen: []string{":8443"}, Certificates: good}, nil},
		{"all", TLSConfig{Listen: []string{":8443"}, Certificates: good, MinVersion: "1.3", ClientAuth: "required", ClientCA: cert}, nil},
		{"no certificate", TLSConfig{Listen: []string{":8443"}}, []string{"certificates"}},
		{"a key of another", TLSConfig{Certificates: []certs.Pair{good[0], {Cert: cert, Key: otherKey}}}, []string{"certificates[1]"}},
		{"a file that is not there", TLSConfig{Certificates: []certs.Pair{{Cert: "/nowhere", Key: key}}}, []string{"certificates[0]"}},
		{"a certificate without a key", TLSConfig{Certificates: []certs.Pair{{Cert: cert}, {Key: key}}}, []string{"certificates[0]", "certificates[1]"}},
		{"HSTS that would take itself back", TLSConfig{HSTS: time.Millisecond}, []string{"hsts"}},
		{"an old version", TLSConfig{MinVersion: "1.1"}, []string{"min_version"}},
		{"an unknown word", TLSConfig{ClientAuth: "yes"}, []string{"client_auth"}},
		{"no authorities", TLSConfig{ClientAuth: "optional"}, []string{"client_ca"}},
		{"authorities that are none", TLSConfig{ClientAuth: "optional", ClientCA: key}, []string{"client_ca"}},
		{"too often", TLSConfig{ReloadInterval: time.Millisecond, TicketRotation: time.Second}, []string{"reload_interval", "ticket_rotation"}},
		{"negative", TLSConfig{Handshakes: HandshakeConfig{Workers: -1, Max: -1, Timeout: -1}}, []string{"workers", "max", "timeout"}},
	} {
		var got []string
		report := func(key, _ string) { got = append(got, key) }
		tt.cfg.Validate(report)
		tt.cfg.Handshakes.Validate(report)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: problems with %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestExpiring(t *testing.T) {
	now := time.Now()
	ca, dir := testkit.NewAuthority(t), t.TempDir()
	cert, key := testkit.WriteCertificate(t, dir, "one", ca.Issue("one", func(c *x509.Certificate) { c.NotAfter = now.Add(time.Hour) }))
	c := TLSConfig{Certificates: []certs.Pair{{Cert: cert, Key: key}}}
	for _, tt := range []struct {
		at   time.Time
		want string
	}{
		{now, "expires on"},
		{now.Add(2 * time.Hour), "has expired"},
		{now.Add(-2 * time.Hour), ""},
	} {
		got := ""
		c.Expiring(tt.at, 90*time.Minute, func(key, text string) { got = key + " " + text })
		if !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
