package certs

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// ACME has an authority such as Let's Encrypt issue certificates, which it does to
// whoever answers TLS on port 443 of a domain (the challenge tls-alpn-01, RFC
// 8737): no other port and no files are needed.
type ACME struct {
	// Domains are the names to get certificates for; all of them must lead to
	// this node. To name any is to accept the terms of the authority. Default:
	// none.
	Domains []string `yaml:"domains"`

	// Email is where the authority writes to. Default: none.
	Email string `yaml:"email"`

	// Cache is the path of a directory for the certificates and the account, so
	// that a node that starts again does not ask for new ones: authorities
	// refuse who asks too often. It holds private keys.
	Cache string `yaml:"cache"`

	// Directory is the address of the authority. Default: that of Let's Encrypt.
	Directory string `yaml:"directory"`
}

// retryAfter is the pause after an authority has refused, growing up to
// maxRetryAfter: they allow few attempts an hour.
const (
	retryAfter    = 2 * time.Minute
	maxRetryAfter = time.Hour
)

// issuer gets certificates and keeps them new. A handshake is only ever shown what
// is there: getting a certificate takes many seconds, in which the authority shakes
// hands with this very node.
type issuer struct {
	manager *autocert.Manager
	domains []string

	mu    sync.Mutex
	ready map[string]bool // guarded by mu; domains whose certificate the manager has
}

// newIssuer returns nil where there is nothing to get. Its requests end with ctx.
func newIssuer(ctx context.Context, o ACME, client *http.Client) *issuer {
	if len(o.Domains) == 0 {
		return nil
	}
	i := &issuer{ready: make(map[string]bool)}
	for _, d := range o.Domains {
		i.domains = append(i.domains, strings.ToLower(d))
	}
	if client == nil {
		client = &http.Client{Timeout: time.Minute}
	}
	own := *client
	own.Transport = bound{ctx, own.Transport}
	i.manager = &autocert.Manager{
		Prompt:     autocert.AcceptTOS,
		Cache:      autocert.DirCache(o.Cache),
		HostPolicy: autocert.HostWhitelist(i.domains...),
		Email:      o.Email,
		Client:     &acme.Client{DirectoryURL: o.Directory, HTTPClient: &own, UserAgent: "sluice"},
	}
	return i
}

// bound is a transport whose requests do not outlive a context: the manager has
// none to cancel.
type bound struct {
	ctx  context.Context
	next http.RoundTripper // nil for the default
}

func (b bound) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := b.ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(r.Context())
	context.AfterFunc(b.ctx, cancel) // the body is read after this returns
	next := b.next
	if next == nil {
		next = http.DefaultTransport
	}
	return next.RoundTrip(r.WithContext(ctx))
}

// certificate implements tls.Config.GetCertificate: the answer to a challenge, or a
// certificate that is there; none leaves it to those from files.
func (i *issuer) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if slices.Equal(hello.SupportedProtos, []string{acme.ALPNProto}) {
		return i.manager.GetCertificate(hello)
	}
	name := strings.TrimSuffix(strings.ToLower(hello.ServerName), ".")
	i.mu.Lock()
	ready := i.ready[name]
	i.mu.Unlock()
	if !ready {
		return nil, nil
	}
	return i.manager.GetCertificate(asks(name))
}

// asks is the hello of a client for which an ECDSA certificate will do. One of RSA
// would be another one to get, and every client of TLS 1.2 knows both.
func asks(name string) *tls.ClientHelloInfo {
	return &tls.ClientHelloInfo{ServerName: name, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}
}

// expiry returns when the first certificate expires, the zero time for none.
func (i *issuer) expiry() (first time.Time) {
	for _, d := range i.domains {
		i.mu.Lock()
		ready := i.ready[d]
		i.mu.Unlock()
		if !ready {
			continue
		}
		c, err := i.manager.GetCertificate(asks(d))
		if err == nil && (first.IsZero() || c.Leaf.NotAfter.Before(first)) {
			first = c.Leaf.NotAfter
		}
	}
	return first
}

// obtain gets the certificates, one after the other, and tries again what failed
// until ctx ends. The manager renews them by itself afterwards.
func (i *issuer) obtain(ctx context.Context, report func(domain string, err error)) {
	missing := slices.Clone(i.domains)
	for pause := retryAfter; ; pause = min(2*pause, maxRetryAfter) {
		missing = slices.DeleteFunc(missing, func(domain string) bool {
			if ctx.Err() != nil {
				return false
			}
			_, err := i.manager.GetCertificate(asks(domain))
			if err == nil {
				i.mu.Lock()
				i.ready[domain] = true
				i.mu.Unlock()
			}
			if ctx.Err() == nil {
				report(domain, err)
			}
			return err == nil
		})
		if len(missing) == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// Validate reports every problem with its key, relative to this struct.
func (o *ACME) Validate(report func(key, problem string)) {
	if len(o.Domains) == 0 {
		return
	}
	if o.Cache == "" {
		report("cache", "is empty; name a directory, or each start would ask for new certificates")
	}
	if u, err := url.Parse(o.Directory); o.Directory != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
		report("directory", fmt.Sprintf("%q is not an https address such as https://acme-v02.api.letsencrypt.org/directory", o.Directory))
	}
	for i, d := range o.Domains {
		if strings.ContainsAny(d, "*/: ") || !strings.Contains(strings.Trim(d, "."), ".") {
			report(fmt.Sprintf("domains[%d]", i), fmt.Sprintf("%q is not a domain name such as chat.example.com", d))
		}
	}
}
