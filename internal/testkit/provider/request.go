package provider

import (
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// request is a login that is under way.
type request struct {
	id       string
	asked    oidc.AuthRequest
	audience []string
	nonce    string

	subject string // "" until somebody is logged in
	at      time.Time
}

var _ op.AuthRequest = (*request)(nil)

// copied returns what the library may read while logIn changes the request.
func (r *request) copied() *request {
	c := *r
	return &c
}

func (r *request) GetID() string          { return r.id }
func (r *request) GetACR() string         { return "" }
func (r *request) GetAMR() []string       { return []string{"pwd"} }
func (r *request) GetAudience() []string  { return r.audience }
func (r *request) GetAuthTime() time.Time { return r.at }
func (r *request) GetClientID() string    { return r.asked.ClientID }
func (r *request) GetCodeChallenge() *oidc.CodeChallenge {
	if r.asked.CodeChallenge == "" {
		return nil
	}
	return &oidc.CodeChallenge{Challenge: r.asked.CodeChallenge, Method: r.asked.CodeChallengeMethod}
}
func (r *request) GetNonce() string                   { return r.nonce }
func (r *request) GetRedirectURI() string             { return r.asked.RedirectURI }
func (r *request) GetResponseType() oidc.ResponseType { return r.asked.ResponseType }
func (r *request) GetResponseMode() oidc.ResponseMode { return r.asked.ResponseMode }
func (r *request) GetScopes() []string                { return r.asked.Scopes }
func (r *request) GetState() string                   { return r.asked.State }
func (r *request) GetSubject() string                 { return r.subject }
func (r *request) Done() bool                         { return r.subject != "" }

// credentials is a client that asks for a token of its own.
type credentials struct {
	client Client
	scopes []string
}

func (c *credentials) GetSubject() string    { return c.client.ID }
func (c *credentials) GetAudience() []string { return c.client.audience() }
func (c *credentials) GetScopes() []string   { return c.scopes }
