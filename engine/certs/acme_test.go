package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/acme"

	"sluice/internal/testkit"
)

// authority is an ACME server (RFC 8555) for one order at a time, which checks the
// challenge and no signature.
type authority struct {
	*httptest.Server
	t    *testing.T
	ca   *testkit.Authority
	node string // where the challenges are answered

	mu     sync.Mutex
	domain string // guarded by mu; of the order
	valid  bool   // guarded by mu; the challenge was answered
	chain  []byte // guarded by mu; PEM
	orders int    // guarded by mu
	broken bool   // guarded by mu: no order is taken
}

func startAuthority(t *testing.T, ca *testkit.Authority) *authority {
	a := &authority{t: t, ca: ca}
	a.Server = httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(a.Close)
	return a
}

func (a *authority) serve(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w.Header().Set("Replay-Nonce", fmt.Sprint(time.Now().UnixNano()))
	answer := func(status int, location string, body any) {
		w.Header().Set("Content-Type", "application/json")
		if location != "" {
			w.Header().Set("Location", a.URL+location)
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	status := func(yes bool, then string) string {
		if yes {
			return then
		}
		return "pending"
	}
	type object map[string]any
	challenge := func() object {
		return object{"type": "tls-alpn-01", "url": a.URL + "/challenge", "token": "token", "status": status(a.valid, "valid")}
	}
	order := func() object {
		o := object{"status": status(a.valid, "ready"), "authorizations": []string{a.URL + "/authz"}, "finalize": a.URL + "/finalize",
			"identifiers": []object{{"type": "dns", "value": a.domain}}}
		if a.chain != nil {
			o["status"], o["certificate"] = "valid", a.URL+"/certificate"
		}
		return o
	}
	switch r.URL.Path {
	case "/directory":
		answer(200, "", object{"newNonce": a.URL + "/nonce", "newAccount": a.URL + "/account", "newOrder": a.URL + "/order"})
	case "/nonce":
	case "/account":
		answer(201, "/account/1", object{"status": "valid"})
	case "/order":
		a.orders++
		if a.broken {
			answer(403, "", object{"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many"})
			return
		}
		var wanted struct{ Identifiers []struct{ Value string } }
		a.payload(r, &wanted)
		a.domain, a.valid, a.chain = wanted.Identifiers[0].Value, false, nil
		answer(201, "/order/1", order())
	case "/order/1":
		answer(200, "/order/1", order())
	case "/authz":
		answer(200, "", object{"status": status(a.valid, "valid"), "identifier": object{"type": "dns", "value": a.domain}, "challenges": []object{challenge()}})
	case "/challenge":
		a.valid = a.check()
		answer(200, "", challenge())
	case "/finalize":
		var final struct{ CSR string }
		a.payload(r, &final)
		der, err := base64.RawURLEncoding.DecodeString(final.CSR)
		if err != nil {
			a.t.Error(err)
		}
		csr, err := x509.ParseCertificateRequest(der)
		if err != nil {
			a.t.Error(err)
			return
		}
		a.chain = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.ca.Certify(csr.PublicKey, a.domain)})
		answer(200, "/order/1", order())
	case "/certificate":
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		_, _ = w.Write(a.chain)
	default:
		http.NotFound(w, r)
	}
}

// payload reads what is within the signed body.
func (a *authority) payload(r *http.Request, into any) {
	var signed struct{ Payload string }
	err := json.NewDecoder(r.Body).Decode(&signed)
	if err == nil {
		var b []byte
		if b, err = base64.RawURLEncoding.DecodeString(signed.Payload); err == nil {
			err = json.Unmarshal(b, into)
		}
	}
	if err != nil {
		a.t.Error(err)
	}
}

// check shakes hands with the node as RFC 8737 says.
func (a *authority) check() bool {
	c, err := tls.Dial("tcp", a.node, &tls.Config{ServerName: a.domain, NextProtos: []string{acme.ALPNProto}, InsecureSkipVerify: true})
	if err != nil {
		a.t.Errorf("the challenge: %v", err)
		return false
	}
	defer c.Close()
	state := c.ConnectionState()
	return state.NegotiatedProtocol == acme.ALPNProto && slices.Contains(state.PeerCertificates[0].DNSNames, a.domain)
}

// serve answers handshakes with the store's configuration.
func serve(t *testing.T, s *Store) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				_ = tls.Server(nc, s.Current()).Handshake()
			}()
		}
	}()
	return ln.Addr().String()
}

// TestACME: certificates are got by answering a challenge in a handshake, kept in
// the cache, and shown to those who ask for their names.
func TestACME(t *testing.T) {
	h := newHome(t)
	a := startAuthority(t, h.ca)
	o := Options{
		Pairs: []Pair{h.write("one", "one.example")},
		ACME:  ACME{Domains: []string{"Chat.example.com", "www.example.com"}, Cache: h.dir, Directory: a.URL + "/directory"},
	}
	s := h.open(o)
	a.node = serve(t, s)
	h.expect(s, "one.example")
	if _, err, _ := shake(t, s.Current(), h.client("chat.example.com")); err == nil {
		t.Error("a certificate before there was one")
	}
	var got []string
	s.Obtain(t.Context(), func(domain string, err error) {
		if err != nil {
			t.Errorf("%s: %v", domain, err)
		}
		got = append(got, domain)
	})
	if !slices.Equal(got, []string{"chat.example.com", "www.example.com"}) {
		t.Errorf("obtained %q", got)
	}
	for _, name := range []string{"one.example", "chat.example.com", "CHAT.example.com", "www.example.com"} {
		h.expect(s, name)
	}
	if end := s.Expiry(); end.Before(h.now) || end.After(h.now.Add(2*time.Hour)) {
		t.Errorf("expiry %v", end)
	}

	again := h.open(o) // a new start
	again.Obtain(t.Context(), func(string, error) {})
	h.expect(again, "www.example.com")
	if a.orders != 2 {
		t.Errorf("%d orders, want 2: the cache was not used", a.orders)
	}
}

// TestACMEFails: an authority that refuses is reported, and not waited for when the
// node stops.
func TestACMEFails(t *testing.T) {
	h := newHome(t)
	a := startAuthority(t, h.ca)
	a.broken = true
	s := h.open(Options{ACME: ACME{Domains: []string{"chat.example.com"}, Cache: h.dir, Directory: a.URL + "/directory"}})
	ctx, cancel := context.WithCancel(t.Context())
	var failed error
	s.Obtain(ctx, func(_ string, err error) { failed = err; cancel() })
	if e, ok := errors.AsType[*acme.Error](failed); !ok || e.StatusCode != 403 {
		t.Errorf("error %v", failed)
	}
	if _, err, _ := shake(t, s.Current(), h.client("chat.example.com")); err == nil {
		t.Error("a handshake without a certificate")
	}
	if !s.Expiry().IsZero() {
		t.Errorf("expiry %v", s.Expiry())
	}
}

func TestACMEProblems(t *testing.T) {
	for _, tt := range []struct {
		o    ACME
		want []string
	}{
		{ACME{}, nil},
		{ACME{Domains: []string{"a.example"}, Cache: "/x"}, nil},
		{ACME{Domains: []string{"a.example"}}, []string{"cache"}},
		{ACME{Domains: []string{"a.example", "*.example.com", "localhost", "https://a.example"}, Cache: "/x"}, []string{"domains[1]", "domains[2]", "domains[3]"}},
		{ACME{Domains: []string{"a.example"}, Cache: "/x", Directory: "http://authority.example/directory"}, []string{"directory"}},
		{ACME{Domains: []string{"a.example"}, Cache: "/x", Directory: "authority.example"}, []string{"directory"}},
	} {
		var got []string
		tt.o.Validate(func(key, _ string) { got = append(got, key) })
		if !slices.Equal(got, tt.want) {
			t.Errorf("%+v: problems with %q, want %q", tt.o, got, tt.want)
		}
	}
}
