// Package provider is an OpenID provider for tests: a real one, of a library
// that providers are built of (github.com/zitadel/oidc), with its storage in
// memory and a user who is logged in at once. Only tests import it.
//
// It speaks discovery, JWKS, the authorization-code flow with PKCE, client
// credentials, introspection (RFC 7662) and revocation (RFC 7009), on a loopback
// address over TLS with a certificate that this process trusts from the first
// Start on. It can rotate its keys, and be slow or away.
package provider

import (
	"crypto/rand"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/pkg/op"
)

// loginPath is where the provider would ask for a password.
const loginPath = "/login"

// Provider is a running provider. Its methods may be called from any goroutine.
type Provider struct {
	// URL is the issuer: what tokens have in iss, and below which the pages are.
	URL string

	storage *storage
	server  *httptest.Server
	closed  chan struct{} // when the test ends: ends what SetDelay holds up

	mu    sync.Mutex // guards what follows
	down  bool
	delay time.Duration
	asked map[string]int
}

// Start runs a provider with these clients until the test ends, with one called
// [DefaultClient] where none is named. [DefaultUser] is logged in.
func Start(t testing.TB, clients ...Client) *Provider {
	t.Helper()
	if len(clients) == 0 {
		clients = []Client{DefaultClient}
	}
	p := &Provider{storage: newStorage(t), closed: make(chan struct{}), asked: make(map[string]int)}
	for _, c := range clients {
		p.Register(c)
	}
	p.server = httptest.NewUnstartedServer(nil)
	p.server.TLS = ServerTLS(t)
	p.URL = "https://" + p.server.Listener.Addr().String()
	p.server.Config.Handler = p.faults(p.pages(t))
	p.server.Config.ErrorLog = log.New(io.Discard, "", 0) // every connection that SetDown cuts
	p.server.StartTLS()
	t.Cleanup(func() {
		close(p.closed)
		p.server.Close()
	})
	return p
}

// pages returns the pages of the library, and the one that logs in.
func (p *Provider) pages(t testing.TB) http.Handler {
	config := &op.Config{CodeMethodS256: true, AuthMethodPost: true, SupportedScopes: scopes}
	rand.Read(config.CryptoKey[:])
	library, err := op.NewProvider(config, p.storage, op.StaticIssuer(p.URL))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", library)
	mux.HandleFunc("GET "+loginPath, func(w http.ResponseWriter, r *http.Request) {
		id := r.URL.Query().Get("id")
		p.storage.logIn(id)
		http.Redirect(w, r, "/authorize/callback?id="+url.QueryEscape(id), http.StatusFound)
	})
	return mux
}

// faults counts requests and lets the provider be slow or away.
func (p *Provider) faults(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asked[r.URL.Path]++
		down, delay := p.down, p.delay
		p.mu.Unlock()
		if delay > 0 {
			select {
			case <-time.After(delay):
			case <-r.Context().Done():
			case <-p.closed:
			}
		}
		if down {
			panic(http.ErrAbortHandler) // closes the connection without an answer
		}
		next.ServeHTTP(w, r)
	})
}

// SetDown closes every connection without an answer, or no longer.
func (p *Provider) SetDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

// SetDelay makes every answer take that much longer.
func (p *Provider) SetDelay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Asked returns how many requests came for a path, such as "/keys" or
// "/oauth/introspect", the lost ones too.
func (p *Provider) Asked(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[path]
}

// SetUser changes who is logged in, in flows that begin later.
func (p *Provider) SetUser(u User) { p.storage.setUser(u) }

// Register adds a client, or replaces the one of the same ID.
func (p *Provider) Register(c Client) { p.storage.register(p.loginURL, c) }

func (p *Provider) loginURL(id string) string {
	return p.URL + loginPath + "?id=" + url.QueryEscape(id)
}

// SetNonce makes ID tokens carry this nonce, whatever was asked for; "" ends it.
func (p *Provider) SetNonce(nonce string) { p.storage.setNonce(nonce) }

// Rotate signs with a new key from now on and returns its name. The keys before
// stay published, so that tokens of theirs are good until they end.
func (p *Provider) Rotate() (kid string) { return p.storage.rotate() }

// Withdraw publishes no key but the one that signs.
func (p *Provider) Withdraw() { p.storage.withdraw() }

// Client returns a client for HTTP that trusts the provider and keeps nothing.
func (p *Provider) Client() *http.Client { return p.server.Client() }
