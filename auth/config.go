package auth

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

const (
	// DefaultCookie is the cookie that carries a token unless Config.Cookie
	// names another.
	DefaultCookie = "access_token"

	// NoCookie as Config.Cookie keeps cookies from carrying tokens.
	NoCookie = "-"

	// MinKeySize is the least length of a key in bytes: a shorter one is easier
	// to guess than HS256 is to break (RFC 7518 section 3.2).
	MinKeySize = 32

	// maxKeys bounds the hashes that one forged token costs.
	maxKeys = 16

	defaultLeeway       = time.Minute
	maxLeeway           = 10 * time.Minute
	defaultMaxTokenSize = 8 << 10
	maxTokenSize        = 64 << 10
)

// Config says who may come in. Keys or Issuers are required; the zero value of any
// other field means its default.
type Config struct {
	// Keys verify the signatures of tokens, at most 16. Several at once are for
	// rotation: add the new key, let services sign with it, remove the old one
	// when its last token has expired. Without any there must be issuers, and then
	// nobody calls the HTTP API of hubs that have no keys of their own.
	Keys []Key `yaml:"keys"`

	// Issuers are identity providers whose tokens let clients in, at most 16. A hub
	// that has keys or issuers of its own takes none of theirs. Their tokens do not
	// call the HTTP API. Default none.
	Issuers []Issuer `yaml:"issuers"`

	// Endpoints are the addresses for which tokens must be made, such as
	// https://chat.example.com: scheme, host and port of the token's aud claim.
	// By default only the path of aud counts, /client/hubs/{hub}: behind a
	// proxy a node does not know its public address. Two systems that share a
	// key and the name of a hub then also share clients; list endpoints, or
	// give each its own key.
	Endpoints []string `yaml:"endpoints"`

	// Leeway is how far the clocks of node and token issuer may be apart, at
	// most 10m. It prolongs every token. Default 1m; 1ns is as good as none.
	Leeway time.Duration `yaml:"leeway"`

	// Cookie is the name of the cookie that may carry the token. "-" takes no
	// token from cookies. Default access_token.
	Cookie string `yaml:"cookie"`

	// MaxTokenSize bounds a token, 256 B to 64KiB. A longer one is refused
	// unread. Default 8KiB.
	MaxTokenSize int `yaml:"max_token_size" unit:"bytes"`

	// Origins are the web pages that may connect besides those of the host that
	// the browser connects to, which always may: exact origins such as
	// https://app.example.com, patterns such as https://*.example.com for all
	// names below one (not that one itself), "null" for pages without an
	// origin, and "*" for every page. Default none. With "*" and tokens in
	// cookies any page may act as its visitor: then set Cookie to "-".
	Origins []string `yaml:"origins"`
}

// Key is one key for signatures.
type Key struct {
	// ID is what tokens may name in their kid header to be checked with this
	// key alone. A token that names no key, or an unknown one, is checked with
	// all of them.
	ID string `yaml:"id"`

	// Secret is a key that services share with the node, for HS256, HS384 and
	// HS512: the bytes of this text as they are, not decoded from anything. At
	// least 32; make one with: openssl rand -hex 32
	Secret Secret `yaml:"secret"`

	// PublicKey stands in place of a secret where tokens are signed with a key
	// that the node does not have: RSA of 2048 bits and more (RS256 to PS512),
	// ECDSA P-256, P-384 and P-521 (ES256, ES384, ES512) or Ed25519 (EdDSA). PEM,
	// or the path of a file with it, read at the start; a certificate will do. With
	// public keys alone a node can check tokens and make none.
	PublicKey string `yaml:"public_key"`
}

// Validate reports every problem with the key of its field.
func (c *Config) Validate(report func(key, problem string)) {
	if len(c.Keys) == 0 && len(c.Issuers) == 0 {
		report("keys", "no key, so no token can be verified; make one with: openssl rand -hex 32")
	}
	ValidateKeys("keys", c.Keys, report)
	ValidateIssuers("issuers", c.Issuers, report)
	for i, e := range c.Endpoints {
		if _, err := parseEndpoint(e); err != nil {
			report(fmt.Sprintf("endpoints[%d]", i), err.Error())
		}
	}
	if c.Leeway < 0 || c.Leeway > maxLeeway {
		report("leeway", fmt.Sprintf("%v is not between 0 and %v", c.Leeway, maxLeeway))
	}
	if c.Cookie != "" && !isToken(c.Cookie) {
		report("cookie", strconv.Quote(c.Cookie)+" cannot be the name of a cookie")
	}
	if n := c.MaxTokenSize; n != 0 && (n < 256 || n > maxTokenSize) {
		report("max_token_size", fmt.Sprintf("%d is not between 256 and %d bytes", n, maxTokenSize))
	}
	ValidateOrigins("origins", c.Origins, report)
}

// ValidateOrigins reports every bad pattern of the list that stands at a key.
func ValidateOrigins(key string, patterns []string, report func(key, problem string)) {
	for i, p := range patterns {
		if err := new(Origins).add(p); err != nil {
			report(fmt.Sprintf("%s[%d]", key, i), err.Error())
		}
	}
}

// ValidateKeys reports every problem of the keys that stand at a key of the
// configuration. None at all is none.
func ValidateKeys(key string, keys []Key, report func(key, problem string)) {
	if n := len(keys); n > maxKeys {
		report(key, fmt.Sprintf("%d keys; at most %d", n, maxKeys))
	}
	seen := make(map[string]bool, len(keys))
	for i, k := range keys {
		at := fmt.Sprintf("%s[%d]", key, i)
		if k.ID != "" && seen[k.ID] {
			report(at+".id", strconv.Quote(k.ID)+" names another key already")
		}
		seen[k.ID] = true
		if k.PublicKey != "" && k.Secret != "" {
			report(at, "has a secret and a public_key; list each by itself")
			continue
		}
		field := ".secret"
		if k.PublicKey != "" {
			field = ".public_key"
		}
		if _, err := k.compile(); err != nil {
			report(at+field, err.Error())
		}
	}
}

// checkKey refuses keys that cannot keep a secret. Errors do not show the key.
func checkKey(key []byte) error {
	switch {
	case len(key) < MinKeySize:
		return fmt.Errorf("%d bytes; a key needs at least %d: make one with: openssl rand -hex 32", len(key), MinKeySize)
	case !utf8.Valid(key):
		return errors.New("not UTF-8 text, so that other programs could not sign with the same key")
	}
	return nil
}

// WithDefaults returns the configuration with every zero replaced.
func (c Config) WithDefaults() Config {
	c.Leeway = cmp.Or(c.Leeway, defaultLeeway)
	c.Cookie = cmp.Or(c.Cookie, DefaultCookie)
	c.MaxTokenSize = cmp.Or(c.MaxTokenSize, defaultMaxTokenSize)
	return c
}

// isToken reports whether s is a token of RFC 9110 section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && !contains("!#$%&'*+-.^_`|~", c) {
			return false
		}
	}
	return s != ""
}
