package auth_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"hash"
	"testing"
	"time"

	"sluice/auth"
)

const (
	key1 = "0123456789abcdef0123456789abcdef"
	key2 = "another key, just as long as it must be"
)

var now = time.Unix(1_700_000_000, 0)

// sign makes a token by hand, with no library that the package also uses. alg
// chooses the hash, whatever the header says.
func sign(alg, header, payload, key string) string {
	hashes := map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}
	text := encode(header) + "." + encode(payload)
	mac := hmac.New(hashes[alg], []byte(key))
	mac.Write([]byte(text))
	return text + "." + encode(string(mac.Sum(nil)))
}

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// hs256 signs claims in the usual way.
func hs256(payload string) string {
	return sign("HS256", `{"alg":"HS256","typ":"JWT"}`, payload, key1)
}

func newVerifier(t testing.TB, change func(*auth.Config)) *auth.Verifier {
	t.Helper()
	cfg := auth.Config{Keys: []auth.Key{{ID: "one", Secret: key1}, {ID: "two", Secret: key2}}}
	if change != nil {
		change(&cfg)
	}
	v, err := auth.NewVerifier(cfg)
	if err != nil {
		t.Fatalf("NewVerifier: %v", err)
	}
	return v
}

// reasonOf returns the reason of a refusal, "" for no error.
func reasonOf(t testing.TB, err error) auth.Reason {
	t.Helper()
	if err == nil {
		return ""
	}
	refusal, ok := errors.AsType[*auth.Refusal](err)
	if !ok {
		t.Fatalf("the error is a %T, not a *Refusal: %v", err, err)
	}
	return refusal.Reason
}
