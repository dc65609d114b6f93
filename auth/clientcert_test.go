package auth_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net/url"
	"slices"
	"testing"
	"time"

	"sluice/auth"
)

// certified are tenants of which the hub "chat" has rules for certificates.
func certified(t *testing.T, rule auth.ClientCert) *auth.Tenants {
	t.Helper()
	cfg := auth.Config{Keys: []auth.Key{{Secret: "0123456789abcdef0123456789abcdef"}}}
	tenants, err := auth.NewTenants(cfg, map[string]auth.Tenant{"Chat": {ClientCert: rule}})
	if err != nil {
		t.Fatal(err)
	}
	return tenants
}

func TestCertified(t *testing.T) {
	now := time.Now()
	alice := &x509.Certificate{
		Subject:        pkix.Name{CommonName: "alice"},
		DNSNames:       []string{"alice.example", "other.example"},
		EmailAddresses: []string{"alice@example.com"},
		URIs:           []*url.URL{{Scheme: "spiffe", Host: "example", Path: "/alice"}},
		NotBefore:      now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
	}
	for _, tt := range []struct {
		name string
		rule auth.ClientCert
		cert *x509.Certificate
		want string // the user, "" for nobody
		err  auth.Reason
	}{
		{"common name", auth.ClientCert{User: "common_name"}, alice, "alice", ""},
		{"dns", auth.ClientCert{User: "dns"}, alice, "alice.example", ""},
		{"email", auth.ClientCert{User: "email"}, alice, "alice@example.com", ""},
		{"uri", auth.ClientCert{User: "uri"}, alice, "spiffe://example/alice", ""},
		{"no rule", auth.ClientCert{}, alice, "", ""},
		{"required, but no identity", auth.ClientCert{Required: true}, alice, "", ""},
		{"no certificate", auth.ClientCert{User: "dns"}, nil, "", ""},
		{"not in it", auth.ClientCert{User: "uri"}, &x509.Certificate{}, "", auth.CertificateUser},
		{"blank", auth.ClientCert{User: "common_name"}, &x509.Certificate{Subject: pkix.Name{CommonName: " "}}, "", auth.CertificateUser},
	} {
		tt.rule.Groups = []string{"b", "a", "b"}
		id, ok, err := certified(t, tt.rule).Certified(tt.cert, "chat", now)
		if id.User != tt.want || ok != (tt.want != "" || tt.err != "") {
			t.Errorf("%s: user %q, ok %v", tt.name, id.User, ok)
		}
		if tt.err != "" && reasonOf(t, err) != tt.err || tt.err == "" && err != nil {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.err)
		}
		if tt.want != "" && (!id.Expires.Equal(alice.NotAfter) || !slices.Equal(id.Groups, []string{"a", "b"})) {
			t.Errorf("%s: expires %v, groups %q", tt.name, id.Expires, id.Groups)
		}
	}
}

// TestCertificateRules: what is required, what is allowed, what is revoked, and
// that all of it is one hub's.
func TestCertificateRules(t *testing.T) {
	now := time.Now()
	cert := &x509.Certificate{Subject: pkix.Name{CommonName: "alice"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	tenants := certified(t, auth.ClientCert{User: "common_name", Roles: []string{"sluice.sendToGroup.a"}, Required: true})
	if err := tenants.CheckCertificate(nil, "CHAT"); reasonOf(t, err) != auth.CertificateMissing {
		t.Errorf("without a certificate: %v", err)
	}
	if err := tenants.CheckCertificate(cert, "chat"); err != nil {
		t.Errorf("with one: %v", err)
	}
	if err := tenants.CheckCertificate(nil, "lobby"); err != nil {
		t.Errorf("another hub: %v", err)
	}
	if _, ok, err := tenants.Certified(cert, "lobby", now); ok || err != nil {
		t.Errorf("another hub: %v, %v", ok, err)
	}
	id, _, err := tenants.Certified(cert, "chat", now)
	if err != nil || !id.Permissions.Allowed(auth.SendToGroup, []byte("a")) || id.Permissions.Allowed(auth.SendToGroup, []byte("b")) {
		t.Errorf("permissions %v, error %v", id.Permissions, err)
	}
	if err := tenants.Revoke("chat", auth.Revocation{User: "alice", IssuedUntil: now}, now, time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, _, err := tenants.Certified(cert, "chat", now); reasonOf(t, err) != auth.TokenRevoked {
		t.Errorf("revoked: %v", err)
	}
}

func TestClientCertProblems(t *testing.T) {
	for _, tt := range []struct {
		rule auth.ClientCert
		want []string
	}{
		{auth.ClientCert{}, nil},
		{auth.ClientCert{User: "dns", Roles: []string{"sluice.sendToGroup"}, Groups: []string{"a"}, Required: true}, nil},
		{auth.ClientCert{User: "serial"}, []string{"user"}},
		{auth.ClientCert{Roles: []string{"sluice.sendToGroup"}}, []string{"user"}},
		{auth.ClientCert{User: "dns", Roles: []string{"sluice.fly"}, Groups: []string{" "}}, []string{"roles[0]", "groups[0]"}},
	} {
		var got []string
		tt.rule.Validate(func(key, _ string) { got = append(got, key) })
		if !slices.Equal(got, tt.want) {
			t.Errorf("%+v: problems with %q, want %q", tt.rule, got, tt.want)
		}
	}
}
