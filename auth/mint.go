package auth

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Claims are what a token made by [Mint] says.
type Claims struct {
	Hub    string        // the hub it is for; required
	User   string        // empty makes the client anonymous
	Roles  []string      // see CompileRoles
	Groups []string      // to be in from the start
	TTL    time.Duration // how long it is valid; required

	// Endpoint is the public address of the node, such as
	// https://chat.example.com. It is needed where Config.Endpoints is set.
	Endpoint string
}

// Mint makes a token for a client, signed with HS256. now is when it was issued.
func Mint(key []byte, c Claims, now time.Time) (string, error) {
	if err := checkKey(key); err != nil {
		return "", fmt.Errorf("key: %w", err)
	}
	if err := c.check(); err != nil {
		return "", err
	}
	claims := jwt.MapClaims{
		"aud": strings.TrimSuffix(c.Endpoint, "/") + hubPath + url.PathEscape(c.Hub),
		"iat": now.Unix(),
		"exp": now.Add(c.TTL).Unix(),
	}
	if c.User != "" {
		claims["sub"] = c.User
	}
	if len(c.Roles) > 0 {
		claims["role"] = c.Roles
	}
	if len(c.Groups) > 0 {
		claims["sluice.group"] = c.Groups
	}
	return sign(key, claims)
}

func sign(key []byte, claims jwt.MapClaims) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(key)
}

// check refuses what a Verifier would refuse, and roles that would be ignored.
func (c Claims) check() error {
	if !ValidHub(c.Hub) {
		return fmt.Errorf("hub: %q is not the name of a hub", c.Hub)
	}
	for _, g := range c.Groups {
		if !ValidGroup(g) {
			return fmt.Errorf("group: %q is not the name of a group", g)
		}
	}
	if _, ignored := CompileRoles(c.Roles); len(ignored) > 0 {
		return fmt.Errorf("role: %q: %s", ignored[0].Role, ignored[0].Why)
	}
	if c.TTL < time.Second {
		return errors.New("ttl: less than a second")
	}
	if c.Endpoint != "" {
		if _, err := parseEndpoint(c.Endpoint); err != nil {
			return fmt.Errorf("endpoint: %w", err)
		}
	}
	return nil
}
