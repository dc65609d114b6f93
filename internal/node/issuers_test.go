package node

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice/auth"
	"sluice/internal/config"
	"sluice/internal/logs"
	"sluice/internal/testkit"
)

// provider is an OpenID provider as far as keys go.
type provider struct {
	*httptest.Server
	mu   sync.Mutex
	key  *ecdsa.PrivateKey
	away bool
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func startProvider(t *testing.T) *provider {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{key: key, away: true}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, p.URL, p.URL+"/keys")
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.away {
			http.Error(w, "away", http.StatusBadGateway)
			return
		}
		point, _ := p.key.PublicKey.Bytes()
		fmt.Fprintf(w, `{"keys":[{"kty":"EC","crv":"P-256","kid":"one","x":%q,"y":%q}]}`,
			b64(point[1:33]), b64(point[33:]))
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *provider) setAway(away bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = away
}

func (p *provider) token(t *testing.T, user string) string {
	t.Helper()
	claims := fmt.Sprintf(`{"iss":%q,"aud":"sluice","preferred_username":%q,"exp":%d}`, p.URL, user, time.Now().Add(time.Hour).Unix())
	text := b64([]byte(`{"alg":"ES256","kid":"one"}`)) + "." + b64([]byte(claims))
	digest := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, p.key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	var signature [64]byte // RFC 7518 section 3.4
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return text + "." + b64(signature[:])
}

// TestIssuers: clients with tokens of a provider come in, before as after it goes
// away, and are told to try again where its keys do not come in time.
func TestIssuers(t *testing.T) {
	p := startProvider(t)
	start := func(patience time.Duration) *Node {
		return startNode(t, func(c *config.Config) {
			c.Engine.HandshakeTimeout = patience
			c.Auth.Issuers = []auth.Issuer{{
				Issuer: p.URL, Audience: []string{"sluice"}, Claims: auth.ClaimNames{User: "preferred_username"},
			}}
		})
	}
	status := func(n *Node, token string) int {
		t.Helper()
		c := testkit.Dial(t, "tcp", n.Addrs()[0].String())
		c.WriteString(testkit.Head("/client/hubs/chat?access_token="+token, subprotocol))
		return c.ReadResponse().StatusCode
	}

	cold := start(100 * time.Millisecond)
	if got := status(cold, p.token(t, "ann")); got != http.StatusServiceUnavailable {
		t.Errorf("without the keys: %d", got)
	}
	if got := status(cold, mint(t, auth.Claims{})); got != http.StatusSwitchingProtocols {
		t.Errorf("a token of the house, meanwhile: %d", got)
	}

	p.setAway(false)
	n := start(0)
	testkit.Eventually(t, testkit.Patience, func() bool {
		_, page := get(t, n, "/metrics")
		return strings.Contains(page, `sluice_issuer_key_fetches_total{result="ok"} 1`)
	}, "the keys are fetched")
	p.setAway(true)
	if got := status(n, p.token(t, "ann")); got != http.StatusSwitchingProtocols {
		t.Errorf("with the keys: %d", got)
	}
	forged := p.token(t, "ann")
	forged = forged[:strings.LastIndexByte(forged, '.')+1] + strings.Repeat("A", 86)
	if got := status(n, forged); got != http.StatusUnauthorized {
		t.Errorf("a forged signature: %d", got)
	}
	if got := status(n, p.token(t, "")); got != http.StatusUnauthorized {
		t.Errorf("without a user: %d", got)
	}
}

// TestHealthLines: the log tells when a provider begins to fail and when it is back,
// and not each time that a client makes it say no.
func TestHealthLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		log := logs.Open(logs.Config{}, &text)
		health := (&issuers{log: log}).health("https://id.test", "bad", "good")
		wrong := errors.New("wrong")
		for range 1000 { // others' tokens are good meanwhile
			health(wrong)
			health(nil)
		}
		health(wrong)
		time.Sleep(healthPause)
		health(wrong) // still
		health(wrong)
		health(nil)
		health(nil)
		log.Close()
		if bad, good := strings.Count(text.String(), "msg=bad"), strings.Count(text.String(), "msg=good"); bad != 2 || good != 2 {
			t.Errorf("%d and %d lines:\n%s", bad, good, text.String())
		}
	})
}
