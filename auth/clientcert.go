package auth

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// ClientCert says who the clients of a hub are that show a certificate, and what
// they may do. It needs tls.client_auth and tls.client_ca: only certificates that
// were verified count.
type ClientCert struct {
	// User names the place of the user id in the certificate: "common_name" of
	// the subject, or the first alternative name of the kind "dns", "email" or
	// "uri". A client with a certificate then needs no token; what a token says
	// counts where both are shown. Default none: certificates are no identity.
	User string `yaml:"user"`

	// Roles are those of clients that come in by their certificate, as in
	// tokens. Default: none.
	Roles []string `yaml:"roles"`

	// Groups are the groups that they are in from the start. Default: none.
	Groups []string `yaml:"groups"`

	// Required takes no client without a certificate, token or not. Default
	// false.
	Required bool `yaml:"required"`
}

// certUsers are the values of ClientCert.User.
var certUsers = []string{"common_name", "dns", "email", "uri"}

// Validate reports every problem with its key, relative to this struct.
func (c *ClientCert) Validate(report func(key, problem string)) {
	if c.User != "" && !slices.Contains(certUsers, c.User) {
		report("user", fmt.Sprintf("%q is not one of %q", c.User, certUsers))
	}
	if c.User == "" && len(c.Roles)+len(c.Groups) > 0 {
		report("user", "is empty, so that nobody would get the roles and groups")
	}
	for i, role := range c.Roles {
		if _, ignored := CompileRoles([]string{role}); len(ignored) > 0 {
			report(fmt.Sprintf("roles[%d]", i), ignored[0].Why)
		}
	}
	for i, group := range c.Groups {
		if !ValidGroup(group) {
			report(fmt.Sprintf("groups[%d]", i), "not a group name: it is empty, too long or not text")
		}
	}
}

// certRule is a ClientCert, compiled. Nil knows nobody.
type certRule struct {
	user        string
	permissions *Permissions
	groups      []string
	required    bool
}

func (c *ClientCert) compile() *certRule {
	if c.User == "" && !c.Required {
		return nil
	}
	permissions, _ := CompileRoles(c.Roles)
	groups := slices.Clone(c.Groups)
	slices.Sort(groups)
	return &certRule{user: c.User, permissions: permissions, groups: slices.Compact(groups), required: c.Required}
}

// maxCertUser bounds a user id that comes from a certificate, in bytes.
const maxCertUser = 1024

// identify returns whose certificate it is.
func (r *certRule) identify(cert *x509.Certificate) (Identity, error) {
	user := ""
	switch r.user {
	case "common_name":
		user = cert.Subject.CommonName
	case "dns":
		user = first(cert.DNSNames)
	case "email":
		user = first(cert.EmailAddresses)
	case "uri":
		if len(cert.URIs) > 0 {
			user = cert.URIs[0].String()
		}
	}
	if strings.TrimSpace(user) == "" || len(user) > maxCertUser || !utf8.ValidString(user) {
		return Identity{}, Refuse(CertificateUser, "the certificate has no user id in its "+r.user)
	}
	return Identity{
		User:        user,
		Groups:      r.groups,
		Permissions: r.permissions,
		Expires:     cert.NotAfter,
		IssuedAt:    cert.NotBefore,
	}, nil
}

func first(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

// CheckCertificate refuses a client that shows no certificate, nil, where a hub
// takes nobody without.
func (t *Tenants) CheckCertificate(cert *x509.Certificate, hub string) error {
	if rule := t.of(hub).certs; rule != nil && rule.required && cert == nil {
		return Refuse(CertificateMissing, "this hub takes nobody without a client certificate")
	}
	return nil
}

// Certified returns who a client without a token is by its certificate, which was
// verified; nil means that it has shown none. ok is false where certificates are
// no identity. What was revoked is refused; a certificate counts as issued when it
// begins to be valid.
func (t *Tenants) Certified(cert *x509.Certificate, hub string, now time.Time) (id Identity, ok bool, err error) {
	rule := t.of(hub).certs
	if rule == nil || rule.user == "" || cert == nil {
		return Identity{}, false, nil
	}
	id, err = rule.identify(cert)
	if err == nil && t.revocations.Revoked(hub, Origin{"", id.User, id.IssuedAt}, now) {
		return Identity{}, true, Refuse(TokenRevoked, "the certificate was revoked")
	}
	return id, true, err
}
