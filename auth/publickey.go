package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// minRSABits is the least size of an RSA key (RFC 7518 section 3.3).
const minRSABits = 2048

// maxPublicKey bounds the file of a public key, in bytes.
const maxPublicKey = 64 << 10

// hmacAlgorithms are those that a secret verifies.
var hmacAlgorithms = []string{"HS256", "HS384", "HS512"}

// algorithms are all that may sign a token. A list of what is good, so that
// nothing new in the library comes in by itself, "none" least of all.
var algorithms = append(slices.Clone(hmacAlgorithms), publicAlgorithms...)

// publicAlgorithms are those that a public key verifies.
var publicAlgorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// algorithmsOf returns the algorithms that a public key verifies: no key serves
// those of another kind, so that nobody can have a public key taken for a secret.
func algorithmsOf(key crypto.PublicKey) ([]string, error) {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n < minRSABits {
			return nil, fmt.Errorf("an RSA key of %d bits; at least %d", n, minRSABits)
		}
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, nil
	case *ecdsa.PublicKey:
		switch bits := key.Curve.Params().BitSize; bits {
		case 256:
			return []string{"ES256"}, nil
		case 384:
			return []string{"ES384"}, nil
		case 521:
			return []string{"ES512"}, nil
		default:
			return nil, fmt.Errorf("an ECDSA key of %d bits; P-256, P-384 and P-521 are for tokens", bits)
		}
	case ed25519.PublicKey:
		return []string{"EdDSA"}, nil
	}
	return nil, fmt.Errorf("a key of another kind (%T); RSA, ECDSA and Ed25519 are for tokens", key)
}

// parsePublicKey reads a public key: PEM, or the path of a file with it. A
// certificate will do, for its key. The error does not show what was read: it may
// be a private key that went astray.
func parsePublicKey(text string) (crypto.PublicKey, error) {
	if !strings.HasPrefix(strings.TrimSpace(text), "-----BEGIN ") {
		f, err := os.Open(text)
		if err != nil {
			return nil, fmt.Errorf("neither PEM nor a file that can be read: %w", err)
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, maxPublicKey))
		if err != nil {
			return nil, err
		}
		text = string(b)
	}
	block, rest := pem.Decode([]byte(text))
	switch {
	case block == nil:
		return nil, errors.New("holds no PEM block")
	case strings.Contains(block.Type, "PRIVATE"):
		return nil, errors.New("a private key: a node needs the public one, openssl pkey -pubout makes it")
	case len(strings.TrimSpace(string(rest))) > 0:
		return nil, errors.New("more follows the first PEM block; list each key by itself")
	case block.Type == "CERTIFICATE":
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("not a certificate that can be read")
		}
		return c.PublicKey, nil
	case block.Type == "RSA PUBLIC KEY":
		if key, err := x509.ParsePKCS1PublicKey(block.Bytes); err == nil {
			return key, nil
		}
	default:
		if key, err := x509.ParsePKIXPublicKey(block.Bytes); err == nil {
			return key, nil
		}
	}
	return nil, errors.New("not a public key that can be read")
}

// verificationKey is one key and what it verifies.
type verificationKey struct {
	key        jwt.VerificationKey // []byte for a secret
	algorithms []string
}

// compile turns a key of the configuration into one that verifies.
func (k *Key) compile() (verificationKey, error) {
	if k.PublicKey == "" {
		return verificationKey{[]byte(k.Secret), hmacAlgorithms}, checkKey([]byte(k.Secret))
	}
	key, err := parsePublicKey(k.PublicKey)
	if err != nil {
		return verificationKey{}, err
	}
	algorithms, err := algorithmsOf(key)
	return verificationKey{key, algorithms}, err
}

// keys are the configured keys, as the parser wants them.
type keys struct {
	byAlgorithm map[string]jwt.VerificationKeySet
	byID        map[string]verificationKey
}

// newKeys compiles keys that ValidateKeys has nothing to say about; one whose file
// has gone since verifies nothing.
func newKeys(configured []Key) *keys {
	k := &keys{byAlgorithm: make(map[string]jwt.VerificationKeySet), byID: make(map[string]verificationKey)}
	for i := range configured {
		key, err := configured[i].compile()
		if err != nil {
			continue
		}
		for _, algorithm := range key.algorithms {
			set := k.byAlgorithm[algorithm]
			set.Keys = append(set.Keys, key.key)
			k.byAlgorithm[algorithm] = set
		}
		if id := configured[i].ID; id != "" {
			k.byID[id] = key
		}
	}
	return k
}

// errNoKey means that no key is for the algorithm of a token.
var errNoKey = errors.New("no key is for this algorithm")

// choose is the jwt.Keyfunc: the key that the token names, or else all that are for
// its algorithm.
func (k *keys) choose(t *jwt.Token) (any, error) {
	if _, ok := t.Header["crit"]; ok {
		return nil, errCritical // RFC 7515 section 4.1.11
	}
	algorithm := t.Method.Alg()
	if id, ok := t.Header["kid"].(string); ok {
		if key, ok := k.byID[id]; ok {
			if !slices.Contains(key.algorithms, algorithm) {
				return nil, errNoKey
			}
			return key.key, nil
		}
	}
	set, ok := k.byAlgorithm[algorithm]
	if !ok {
		return nil, errNoKey
	}
	return set, nil
}

// signing returns the first secret: rotation puts a new one in front.
func signing(configured []Key) Secret {
	for _, k := range configured {
		if k.PublicKey == "" {
			return k.Secret
		}
	}
	return ""
}
