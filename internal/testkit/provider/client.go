package provider

import (
	"slices"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// DefaultClient is registered where a test names no client.
var DefaultClient = Client{ID: "sluice", Secret: "the secret of the client", RedirectURIs: []string{"https://client.test/callback"}}

// Client is a system that the provider knows.
type Client struct {
	ID, Secret   string
	RedirectURIs []string
	// Audience is what the access tokens are for. Default: the client. ID tokens
	// are for the client as well.
	Audience []string
	// Opaque makes access tokens that only introspection can read; otherwise they
	// are JWTs.
	Opaque bool
	// Life of its tokens. Default 5m.
	Life time.Duration
}

func (c Client) audience() []string {
	if len(c.Audience) == 0 {
		return []string{c.ID}
	}
	return slices.Clone(c.Audience)
}

func (c Client) life() time.Duration {
	if c.Life == 0 {
		return 5 * time.Minute
	}
	return c.Life
}

// registered is a Client as the library asks about it.
type registered struct {
	Client
	loginURL func(request string) string
}

var _ op.Client = (*registered)(nil)

func (c *registered) GetID() string                       { return c.ID }
func (c *registered) RedirectURIs() []string              { return c.Client.RedirectURIs }
func (c *registered) PostLogoutRedirectURIs() []string    { return nil }
func (c *registered) ApplicationType() op.ApplicationType { return op.ApplicationTypeWeb }
func (c *registered) AuthMethod() oidc.AuthMethod         { return oidc.AuthMethodBasic }
func (c *registered) ResponseTypes() []oidc.ResponseType {
	return []oidc.ResponseType{oidc.ResponseTypeCode}
}
func (c *registered) GrantTypes() []oidc.GrantType {
	return []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeClientCredentials}
}
func (c *registered) LoginURL(request string) string { return c.loginURL(request) }
func (c *registered) AccessTokenType() op.AccessTokenType {
	if c.Opaque {
		return op.AccessTokenTypeBearer
	}
	return op.AccessTokenTypeJWT
}
func (c *registered) IDTokenLifetime() time.Duration { return c.life() }
func (c *registered) DevMode() bool                  { return false }
func (c *registered) RestrictAdditionalIdTokenScopes() func([]string) []string {
	return func(scopes []string) []string { return scopes }
}
func (c *registered) RestrictAdditionalAccessTokenScopes() func([]string) []string {
	return func(scopes []string) []string { return scopes }
}
func (c *registered) IsScopeAllowed(scope string) bool     { return slices.Contains(scopes, scope) }
func (c *registered) IDTokenUserinfoClaimsAssertion() bool { return true }
func (c *registered) ClockSkew() time.Duration             { return 0 }
