package provider

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"sluice/internal/testkit"
)

var (
	trustOnce sync.Once
	authority *testkit.Authority
)

// trusted returns the authority of this process, which its code trusts in place
// of those of the system: what is tested needs no setting for tests then. There is
// one for all providers because the roots can be set once.
func trusted(t testing.TB) *testkit.Authority {
	trustOnce.Do(func() {
		authority = testkit.NewAuthority(t)
		before, was := os.LookupEnv("GODEBUG")
		os.Setenv("GODEBUG", "x509usefallbackroots=1,"+before)
		x509.SetFallbackRoots(authority.Pool())
		if !was {
			os.Unsetenv("GODEBUG") // for the processes that the test starts
			return
		}
		os.Setenv("GODEBUG", before)
	})
	return authority
}

// CertFile returns a file with the authority, for another process in its
// variable SSL_CERT_FILE.
func (p *Provider) CertFile(t testing.TB) string {
	path := filepath.Join(t.TempDir(), "authority.pem")
	if err := os.WriteFile(path, trusted(t).PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// ServerTLS returns what a server of a test needs to be trusted as the provider is.
func ServerTLS(t testing.TB) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{trusted(t).Issue("localhost", nil)}}
}
