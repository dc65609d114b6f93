package jwks

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Keys as a provider writes them, with more fields put behind.
func rsaJWK(t testing.TB, bits int, more string) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"kty":"RSA","n":%q,"e":"AQAB"%s}`, b64(key.N.Bytes()), more)
}

func ecJWK(t testing.TB, curve elliptic.Curve, more string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	half := len(point) / 2
	return fmt.Sprintf(`{"kty":"EC","crv":%q,"x":%q,"y":%q%s}`,
		curve.Params().Name, b64(point[1:1+half]), b64(point[1+half:]), more)
}

func edJWK(t testing.TB, more string) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":%q%s}`, b64(public), more)
}

func set(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

func TestParse(t *testing.T) {
	good := edJWK(t, `,"kid":"good"`)
	rsas := []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	point := b64(make([]byte, 32)) // x = y = 0 is on no curve of ours
	for name, c := range map[string]struct {
		key        string
		algorithms []string // nil: left out
	}{
		"RSA":                 {rsaJWK(t, 2048, ``), rsas},
		"RSA for one":         {rsaJWK(t, 2048, `,"alg":"PS256","use":"sig"`), []string{"PS256"}},
		"P-256":               {ecJWK(t, elliptic.P256(), ``), []string{"ES256"}},
		"P-384":               {ecJWK(t, elliptic.P384(), ``), []string{"ES384"}},
		"P-521":               {ecJWK(t, elliptic.P521(), `,"key_ops":["verify"]`), []string{"ES512"}},
		"Ed25519":             {edJWK(t, ``), []string{"EdDSA"}},
		"short RSA":           {rsaJWK(t, 1024, ``), nil},
		"RSA as HMAC":         {rsaJWK(t, 2048, `,"alg":"HS256"`), nil},
		"RSA as none":         {rsaJWK(t, 2048, `,"alg":"none"`), nil},
		"curve of another":    {ecJWK(t, elliptic.P256(), `,"alg":"ES384"`), nil},
		"small curve":         {ecJWK(t, elliptic.P224(), ``), nil},
		"for encryption":      {edJWK(t, `,"use":"enc"`), nil},
		"for signing":         {edJWK(t, `,"key_ops":["sign"]`), nil},
		"secret":              {`{"kty":"oct","k":"c2VjcmV0","alg":"HS256"}`, nil},
		"not on the curve":    {`{"kty":"EC","crv":"P-256","x":"` + point + `","y":"` + point + `"}`, nil},
		"padded":              {`{"kty":"OKP","crv":"Ed25519","x":"` + b64(make([]byte, 32)) + `="}`, nil},
		"short Ed25519":       {`{"kty":"OKP","crv":"Ed25519","x":"AQAB"}`, nil},
		"X25519":              {`{"kty":"OKP","crv":"X25519","x":"` + b64(make([]byte, 32)) + `"}`, nil},
		"exponent of one":     {strings.Replace(rsaJWK(t, 2048, ``), "AQAB", "AQ", 1), nil},
		"huge exponent":       {strings.Replace(rsaJWK(t, 2048, ``), "AQAB", "_________w", 1), nil},
		"huge RSA":            {`{"kty":"RSA","n":"` + b64([]byte(strings.Repeat("\xff", 2048))) + `","e":"AQAB"}`, nil},
		"another kind":        {`{"kty":"AKP","alg":"ML-DSA-44"}`, nil},
		"name not a string":   {edJWK(t, `,"kid":7`), nil},
		"not an object":       {`"key"`, nil},
		"kind in other case":  {strings.Replace(edJWK(t, ``), "kty", "KTY", 1), nil},
		"number for a string": {`{"kty":"RSA","n":1,"e":2}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			keys, err := parse([]byte(set(c.key, good)))
			if err != nil {
				t.Fatal(err)
			}
			if last := keys[len(keys)-1]; last.ID() != "good" {
				t.Errorf("the good key beside it is missing: %v", keys)
			}
			var algorithms []string
			if len(keys) == 2 {
				algorithms = keys[0].Algorithms()
			}
			if !slices.Equal(algorithms, c.algorithms) {
				t.Errorf("verifies %v, want %v", algorithms, c.algorithms)
			}
		})
	}
}

func TestParseDocuments(t *testing.T) {
	for name, document := range map[string]string{
		"empty":            ``,
		"not JSON":         `<html>`,
		"no keys":          `{}`,
		"none":             `{"keys":[]}`,
		"only a bad one":   set(`{"kty":"oct","k":"c2VjcmV0"}`),
		"keys given twice": `{"keys":[` + edJWK(t, ``) + `],"keys":[]}`,
		"name given twice": set(edJWK(t, `,"kid":"a","kid":"b"`)),
		"more behind":      set(edJWK(t, ``)) + `{}`,
		"too many":         set(slices.Repeat([]string{edJWK(t, ``)}, maxKeys+1)...),
		"not an object":    `[` + edJWK(t, ``) + `]`,
	} {
		t.Run(name, func(t *testing.T) {
			if keys, err := parse([]byte(document)); err == nil {
				t.Errorf("taken: %v", keys)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(set(rsaJWK(f, 2048, `,"kid":"a"`), ecJWK(f, elliptic.P256(), `,"alg":"ES256"`), edJWK(f, `,"use":"sig"`))))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, err := parse(b)
		if (err == nil) != (len(keys) > 0) || len(keys) > maxKeys {
			t.Fatalf("%d keys and the error %v", len(keys), err)
		}
		for _, k := range keys {
			if len(k.Algorithms()) == 0 {
				t.Fatalf("a key for nothing: %v", k)
			}
			for _, a := range k.Algorithms() {
				if a == "none" || strings.HasPrefix(a, "HS") {
					t.Fatalf("a published key verifies %s", a)
				}
			}
		}
	})
}
