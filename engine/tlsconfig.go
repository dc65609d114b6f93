package engine

import (
	"crypto/tls"
	"fmt"
	"time"

	"sluice/engine/certs"
)

// TLSConfig turns TLS: where it is spoken, with which certificates, and what
// clients must show.
type TLSConfig struct {
	// Listen holds the addresses on which clients speak TLS, written like those
	// of listen. Default: none.
	Listen []string `yaml:"listen"`

	// Certificates are what clients are shown: the first that fits the name that
	// a client asks for, or else the first. The files are read again when they
	// change; connections that are open stay. Default: none.
	Certificates []certs.Pair `yaml:"certificates"`

	// ACME gets certificates from an authority such as Let's Encrypt, and renews
	// them. Clients that ask for no name, or for one whose certificate is not
	// there yet, are shown one of Certificates.
	ACME certs.ACME `yaml:"acme"`

	// MinVersion is the oldest version of TLS: "1.2" or "1.3". Default 1.2.
	MinVersion string `yaml:"min_version"`

	// ClientAuth says whether clients must show a certificate: "none" asks for
	// none, "optional" verifies the one that is shown, "required" takes nobody
	// without. What it says about a client is used where hub.hubs.NAME.client_cert
	// is set. Default none.
	ClientAuth string `yaml:"client_auth"`

	// ClientCA is the path of a file with the authorities that issue the
	// certificates of clients, in PEM. It is read again when it changes.
	// Default: none.
	ClientCA string `yaml:"client_ca"`

	// ReloadInterval is how often the files are looked at. Default 10s.
	ReloadInterval time.Duration `yaml:"reload_interval"`

	// TicketRotation is how often the key of session tickets is replaced. A
	// client that comes back within twice that time is spared a full handshake;
	// whoever learns a key can read what was sent with its tickets until then.
	// Default 8h.
	TicketRotation time.Duration `yaml:"ticket_rotation"`

	// HSTS, in the answers to those who came over TLS, tells browsers to speak
	// nothing but TLS with this host for so long (RFC 6797). It is about all ports
	// of the host and cannot be taken back before the time is up: set it, to a
	// year for example, when nothing there is served in plain text. Default 0: it
	// is not said.
	HSTS time.Duration `yaml:"hsts"`

	// Handshakes bounds the handshakes under way.
	Handshakes HandshakeConfig `yaml:"handshakes"`
}

// maxHSTS is what lists of such hosts ask for at the most.
const maxHSTS = 2 * 365 * 24 * time.Hour

var (
	tlsVersions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}
	clientAuths = map[string]tls.ClientAuthType{
		"none":     tls.NoClientCert,
		"optional": tls.VerifyClientCertIfGiven,
		"required": tls.RequireAndVerifyClientCert,
	}
)

// WithDefaults returns the configuration with every zero replaced.
func (c TLSConfig) WithDefaults() TLSConfig {
	def(&c.MinVersion, "1.2")
	def(&c.ClientAuth, "none")
	def(&c.ReloadInterval, 10*time.Second)
	def(&c.TicketRotation, 8*time.Hour)
	c.Handshakes = c.Handshakes.WithDefaults()
	return c
}

// Options returns what a certs.Store needs to know. The configuration must be
// valid and have its defaults.
func (c *TLSConfig) Options() certs.Options {
	return certs.Options{
		Pairs:          c.Certificates,
		MinVersion:     tlsVersions[c.MinVersion],
		ClientAuth:     clientAuths[c.ClientAuth],
		ClientCA:       c.ClientCA,
		TicketRotation: c.TicketRotation,
		ACME:           c.ACME,
	}
}

// Validate reports every problem with its key, relative to this struct. It reads
// the files.
func (c *TLSConfig) Validate(report func(key, problem string)) {
	d := c.WithDefaults()
	if _, ok := tlsVersions[d.MinVersion]; !ok {
		report("min_version", fmt.Sprintf(`%q is neither "1.2" nor "1.3"`, c.MinVersion))
	}
	auth, ok := clientAuths[d.ClientAuth]
	if !ok {
		report("client_auth", fmt.Sprintf(`%q is none of "none", "optional" and "required"`, c.ClientAuth))
	}
	switch {
	case len(c.Listen) > 0 && len(c.Certificates)+len(c.ACME.Domains) == 0:
		report("certificates", "is empty, but there are addresses in listen; name the files of a certificate and its key, or acme.domains")
	case auth != tls.NoClientCert && c.ClientCA == "":
		report("client_ca", fmt.Sprintf("is empty, so with client_auth %q no certificate could be verified", c.ClientAuth))
	}
	for i, p := range c.Certificates {
		if p.Cert == "" || p.Key == "" {
			report(fmt.Sprintf("certificates[%d]", i), "needs both: cert and key, the paths of two files (or twice of one that holds both)")
		} else if _, err := certs.Load(p); err != nil {
			report(fmt.Sprintf("certificates[%d]", i), err.Error())
		}
	}
	if c.ClientCA != "" {
		if _, err := certs.LoadPool(c.ClientCA); err != nil {
			report("client_ca", err.Error())
		}
	}
	if c.HSTS != 0 && (c.HSTS < time.Second || c.HSTS > maxHSTS) {
		report("hsts", fmt.Sprintf("%v is not between 1s and two years (0 means that it is not said)", c.HSTS))
	}
	for _, f := range []struct {
		key     string
		d, from time.Duration
	}{
		{"reload_interval", c.ReloadInterval, time.Second},
		{"ticket_rotation", c.TicketRotation, time.Minute},
	} {
		if f.d != 0 && f.d < f.from {
			report(f.key, fmt.Sprintf("%v is below %v (0 means the default)", f.d, f.from))
		}
	}
}

// Expiring reports the certificates that expire within a time from now.
func (c *TLSConfig) Expiring(now time.Time, within time.Duration, report func(key, text string)) {
	for i, p := range c.Certificates {
		pair, err := certs.Load(p)
		if err != nil {
			continue // Validate has said so
		}
		key := fmt.Sprintf("certificates[%d]", i)
		switch end := pair.Leaf.NotAfter; {
		case !now.Before(end):
			report(key, fmt.Sprintf("%s has expired on %s; clients will not connect", p.Cert, end.Format(time.DateOnly)))
		case end.Sub(now) < within:
			report(key, fmt.Sprintf("%s expires on %s", p.Cert, end.Format(time.DateOnly)))
		}
	}
}
