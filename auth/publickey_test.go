package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"sluice/auth"
)

// publicPEM is the public half of a key as a configuration has it.
func publicPEM(t testing.TB, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func generate(t testing.TB) (keys map[string]crypto.Signer) {
	t.Helper()
	keys = map[string]crypto.Signer{}
	for name, curve := range map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = key
	}
	var err error
	if keys["RSA"], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	if _, keys["Ed25519"], err = ed25519.GenerateKey(rand.Reader); err != nil {
		t.Fatal(err)
	}
	return keys
}

// signed makes a token for the hub "chat" with any algorithm.
func signed(t testing.TB, algorithm, kid string, key any) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), jwt.MapClaims{
		"sub": "ann", "aud": "/client/hubs/chat", "exp": now.Add(time.Hour).Unix(),
	})
	if kid != "" {
		token.Header["kid"] = kid
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatalf("%s: %v", algorithm, err)
	}
	return text
}

// TestPublicKeys: each kind of key verifies its own algorithms and no others,
// whatever a token says of itself.
func TestPublicKeys(t *testing.T) {
	keys := generate(t)
	kinds := map[string]string{
		"RS256": "RSA", "RS384": "RSA", "RS512": "RSA", "PS256": "RSA", "PS384": "RSA", "PS512": "RSA",
		"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519",
	}
	verifiers := map[string]*auth.Verifier{}
	for kind, key := range keys {
		v, err := auth.NewVerifier(auth.Config{Keys: []auth.Key{{ID: "k", PublicKey: publicPEM(t, key)}}})
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		verifiers[kind] = v
	}
	for algorithm, kind := range kinds {
		for _, kid := range []string{"", "k", "unknown"} {
			token := signed(t, algorithm, kid, keys[kind])
			for other, v := range verifiers {
				id, err := v.Verify(token, "chat", now)
				switch r := (*auth.Refusal)(nil); {
				case other == kind && (err != nil || id.User != "ann"):
					t.Errorf("%s with the right key: %v", algorithm, err)
				case other != kind && (!errors.As(err, &r) || r.Reason != auth.TokenAlgorithm):
					t.Errorf("%s with a key of kind %s: %v", algorithm, other, err)
				}
			}
		}
	}
	stranger, _ := rsa.GenerateKey(rand.Reader, 2048)
	if _, err := verifiers["RSA"].Verify(signed(t, "RS256", "", stranger), "chat", now); !refusedAs(err, auth.TokenSignature) {
		t.Errorf("a stranger's key: %v", err)
	}
}

// TestKeyConfusion: a public key, which everybody may know, is never taken for a
// secret, and no token goes unsigned.
func TestKeyConfusion(t *testing.T) {
	keys := generate(t)
	for kind, key := range keys {
		text := publicPEM(t, key)
		alone, err := auth.NewVerifier(auth.Config{Keys: []auth.Key{{ID: "k", PublicKey: text}}})
		if err != nil {
			t.Fatal(err)
		}
		mixed, err := auth.NewVerifier(auth.Config{Keys: []auth.Key{{Secret: "0123456789abcdef0123456789abcdef"}, {ID: "k", PublicKey: text}}})
		if err != nil {
			t.Fatal(err)
		}
		der, _ := x509.MarshalPKIXPublicKey(key.Public())
		for _, kid := range []string{"", "k"} {
			for _, secret := range [][]byte{[]byte(text), []byte(strings.TrimSpace(text)), der} {
				token := signed(t, "HS256", kid, secret)
				if _, err := alone.Verify(token, "chat", now); !refusedAs(err, auth.TokenAlgorithm) {
					t.Errorf("%s, signed with the public key as a secret: %v", kind, err)
				}
				if _, err := mixed.Verify(token, "chat", now); err == nil {
					t.Errorf("%s beside a secret, signed with the public key as a secret: accepted", kind)
				}
			}
			none := signed(t, "none", kid, jwt.UnsafeAllowNoneSignatureType)
			for _, v := range []*auth.Verifier{alone, mixed} {
				if _, err := v.Verify(none, "chat", now); !refusedAs(err, auth.TokenAlgorithm) {
					t.Errorf("%s, unsigned: %v", kind, err)
				}
			}
		}
	}
}

func refusedAs(err error, want auth.Reason) bool {
	r, ok := errors.AsType[*auth.Refusal](err)
	return ok && r.Reason == want
}

// TestPublicKeyForms: PEM in the configuration or in a file, a certificate, and what
// cannot be used, with an error that shows nothing of it.
func TestPublicKeyForms(t *testing.T) {
	keys := generate(t)
	rsaKey := keys["RSA"].(*rsa.PrivateKey)
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, []byte(publicPEM(t, rsaKey)), 0o600); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "issuer"}}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, rsaKey.Public(), rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skipf("SKIPPED: this machine makes no short RSA keys: %v", err)
	}
	p224, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	private, _ := x509.MarshalPKCS8PrivateKey(rsaKey)
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	for name, tt := range map[string]struct {
		key  auth.Key
		want string // "" for a good one
	}{
		"PEM":                {auth.Key{PublicKey: publicPEM(t, rsaKey)}, ""},
		"PEM in a list":      {auth.Key{PublicKey: "\n" + publicPEM(t, rsaKey) + "\n"}, ""},
		"PKCS #1":            {auth.Key{PublicKey: encode("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey))}, ""},
		"certificate":        {auth.Key{PublicKey: encode("CERTIFICATE", certificate)}, ""},
		"file":               {auth.Key{PublicKey: file}, ""},
		"no file":            {auth.Key{PublicKey: file + ".gone"}, "keys[0].public_key: neither PEM nor a file"},
		"private":            {auth.Key{PublicKey: encode("PRIVATE KEY", private)}, "keys[0].public_key: a private key"},
		"two":                {auth.Key{PublicKey: publicPEM(t, rsaKey) + publicPEM(t, rsaKey)}, "keys[0].public_key: more follows"},
		"broken":             {auth.Key{PublicKey: encode("PUBLIC KEY", []byte("not DER"))}, "keys[0].public_key: not a public key"},
		"broken certificate": {auth.Key{PublicKey: encode("CERTIFICATE", []byte("not DER"))}, "keys[0].public_key: not a certificate"},
		"no block":           {auth.Key{PublicKey: "-----BEGIN nothing"}, "keys[0].public_key: holds no PEM block"},
		"short":              {auth.Key{PublicKey: publicPEM(t, short)}, "keys[0].public_key: an RSA key of 1024 bits"},
		"P-224":              {auth.Key{PublicKey: publicPEM(t, p224)}, "keys[0].public_key: an ECDSA key of 224 bits"},
		"both":               {auth.Key{PublicKey: file, Secret: "0123456789abcdef0123456789abcdef"}, "keys[0]: has a secret and a public_key"},
		"neither":            {auth.Key{}, "keys[0].secret: 0 bytes"},
	} {
		_, err := auth.NewVerifier(auth.Config{Keys: []auth.Key{tt.key}})
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "MII")):
			t.Errorf("%s: got %v, want %s…", name, err, tt.want)
		}
	}
}

// TestPublicKeysMakeNoTokens: a node without a secret says why it makes none.
func TestPublicKeysMakeNoTokens(t *testing.T) {
	public := auth.Key{PublicKey: publicPEM(t, generate(t)["P-256"])}
	secret := auth.Key{Secret: "0123456789abcdef0123456789abcdef"}
	tenants, err := auth.NewTenants(auth.Config{Keys: []auth.Key{public, secret}}, map[string]auth.Tenant{"own": {Keys: []auth.Key{public}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tenants.Mint(auth.Claims{Hub: "own", TTL: time.Hour}, now); !errors.Is(err, auth.ErrNoSecret) {
		t.Errorf("with public keys alone: %v", err)
	}
	token, err := tenants.Mint(auth.Claims{Hub: "chat", TTL: time.Hour}, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tenants.Verify(token, "chat", now); err != nil {
		t.Error(err)
	}
}
