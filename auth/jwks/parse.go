package jwks

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"sluice/auth"
)

const (
	// maxDocument bounds a document in bytes, unread beyond: providers publish a
	// few kilobytes.
	maxDocument = 256 << 10

	// maxKeys bounds what a token that names no key is checked with.
	maxKeys = 32

	// maxRSABits is the largest RSA key that a loop should spend time on.
	maxRSABits = 4096
)

// document is a JWK Set (RFC 7517 section 5). Keys are read one by one, so that
// one of a kind that nobody here knows does not take the others with it.
type document struct {
	Keys []jsontext.Value `json:"keys"`
}

// jwk is what we read of a key. A symmetric one ("oct") has none of this and is
// left out by its kty: a published secret is no secret.
type jwk struct {
	Type      string   `json:"kty"`
	Use       string   `json:"use"`
	Ops       []string `json:"key_ops"`
	Algorithm string   `json:"alg"`
	ID        string   `json:"kid"`
	Curve     string   `json:"crv"`
	N         string   `json:"n"`
	E         string   `json:"e"`
	X         string   `json:"x"`
	Y         string   `json:"y"`
}

// parse reads a document. Keys that are not for signatures, or bad, are left out
// (RFC 7517 section 5); a document with none that is left is an error.
func parse(b []byte) ([]auth.IssuerKey, error) {
	var d document
	if err := json.Unmarshal(b, &d); err != nil {
		return nil, errors.New("not a JSON Web Key Set")
	}
	if len(d.Keys) > maxKeys {
		return nil, fmt.Errorf("%d keys; at most %d", len(d.Keys), maxKeys)
	}
	var keys []auth.IssuerKey
	for _, raw := range d.Keys {
		var j jwk
		if json.Unmarshal(raw, &j) != nil || !j.verifies() {
			continue
		}
		if key, ok := j.key(); ok {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("holds no key that could verify a token")
	}
	return keys, nil
}

// verifies reports whether the key is meant for signatures.
func (j *jwk) verifies() bool {
	return (j.Use == "" || j.Use == "sig") && (j.Ops == nil || slices.Contains(j.Ops, "verify"))
}

// key returns the key, where it is a good one of a kind that signs tokens.
func (j *jwk) key() (auth.IssuerKey, bool) {
	var public crypto.PublicKey
	switch j.Type {
	case "RSA":
		public = rsaKey(decode(j.N), decode(j.E))
	case "EC":
		public = ecKey(j.Curve, decode(j.X), decode(j.Y))
	case "OKP":
		if x := decode(j.X); j.Curve == "Ed25519" && len(x) == ed25519.PublicKeySize {
			public = ed25519.PublicKey(x)
		}
	}
	if public == nil {
		return auth.IssuerKey{}, false
	}
	key, err := auth.NewIssuerKey(j.ID, j.Algorithm, public)
	return key, err == nil
}

func rsaKey(n, e []byte) crypto.PublicKey {
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
	if modulus.BitLen() > maxRSABits || modulus.Bit(0) == 0 {
		return nil
	}
	if exponent.BitLen() > 31 || exponent.Int64() < 3 || exponent.Bit(0) == 0 {
		return nil // crypto/rsa takes no other
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}
}

// curves are those of RFC 7518 section 6.2.1.1.
var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

// ecKey takes coordinates of exactly the size of the curve (RFC 7518 section
// 6.2.1.2). A point that is not on the curve is refused.
func ecKey(name string, x, y []byte) crypto.PublicKey {
	curve, ok := curves[name]
	if !ok {
		return nil
	}
	if size := (curve.Params().BitSize + 7) / 8; len(x) != size || len(y) != size {
		return nil
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, bytes.Join([][]byte{{4}, x, y}, nil))
	if err != nil {
		return nil
	}
	return key
}

// decode reads base64url without padding; what is not is empty, which is no part
// of any key.
func decode(s string) []byte {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}
