package provider

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// ScopeGroups asks for the claim groups.
const ScopeGroups = "groups"

// scopes is what clients may ask for.
var scopes = []string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail, ScopeGroups}

// DefaultUser is logged in at the start.
var DefaultUser = User{Subject: "u-1", Name: "ann", Email: "ann@example.com", EmailVerified: true, Groups: []string{"ops"}}

// User is somebody with an account.
type User struct {
	Subject       string // without a colon
	Name          string // preferred_username, with the scope profile
	Email         string // with the scope email
	EmailVerified bool
	Groups        []string // with the scope groups
}

var errUnknown = errors.New("not known here")

// storage is the memory of the provider.
type storage struct {
	keys

	mu       sync.Mutex // guards what follows
	clients  map[string]*registered
	user     User
	users    map[string]User // all that have been logged in, by subject
	nonce    string
	requests map[string]*request // by ID
	codes    map[string]string   // of the requests, to their IDs
	tokens   map[string]issued   // by ID
}

// issued is an access token.
type issued struct {
	client, subject  string
	audience, scopes []string
	begins, ends     time.Time
}

var (
	_ op.Storage                   = (*storage)(nil)
	_ op.ClientCredentialsStorage  = (*storage)(nil)
	_ op.CanSetUserinfoFromRequest = (*storage)(nil)
)

func newStorage(t testing.TB) *storage {
	s := &storage{
		keys:     keys{t: t},
		clients:  make(map[string]*registered),
		users:    make(map[string]User),
		requests: make(map[string]*request),
		codes:    make(map[string]string),
		tokens:   make(map[string]issued),
	}
	s.rotate()
	s.setUser(DefaultUser)
	return s
}

func (s *storage) register(loginURL func(string) string, c Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients[c.ID] = &registered{c, loginURL}
}

func (s *storage) setUser(u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.user = u
	s.users[u.Subject] = u
}

func (s *storage) setNonce(nonce string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nonce = nonce
}

// logIn is what a right password would do.
func (s *storage) logIn(request string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.requests[request]; r != nil {
		r.subject, r.at = s.user.Subject, time.Now()
	}
}

func (s *storage) CreateAuthRequest(_ context.Context, asked *oidc.AuthRequest, _ string) (op.AuthRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clients[asked.ClientID]
	if c == nil {
		return nil, errUnknown
	}
	r := &request{id: rand.Text(), asked: *asked, audience: c.audience(), nonce: asked.Nonce}
	if s.nonce != "" {
		r.nonce = s.nonce
	}
	s.requests[r.id] = r
	return r.copied(), nil
}

func (s *storage) AuthRequestByID(_ context.Context, id string) (op.AuthRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requestLocked(id)
}

func (s *storage) AuthRequestByCode(_ context.Context, code string) (op.AuthRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requestLocked(s.codes[code])
}

func (s *storage) requestLocked(id string) (op.AuthRequest, error) {
	if r := s.requests[id]; r != nil {
		return r.copied(), nil
	}
	return nil, errUnknown
}

func (s *storage) SaveAuthCode(_ context.Context, id, code string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes[code] = id
	return nil
}

// DeleteAuthRequest is called when the tokens are made: a code is good once.
func (s *storage) DeleteAuthRequest(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.requests, id)
	return nil
}

func (s *storage) CreateAccessToken(_ context.Context, r op.TokenRequest) (string, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	client := ""
	switch r := r.(type) {
	case *request:
		client = r.asked.ClientID
	case *credentials:
		client = r.client.ID
	}
	c := s.clients[client]
	if c == nil {
		return "", time.Time{}, errUnknown
	}
	id, now := rand.Text(), time.Now()
	s.tokens[id] = issued{client, r.GetSubject(), r.GetAudience(), r.GetScopes(), now, now.Add(c.life())}
	return id, s.tokens[id].ends, nil
}

func (s *storage) ClientCredentials(ctx context.Context, id, secret string) (op.Client, error) {
	if err := s.AuthorizeClientIDSecret(ctx, id, secret); err != nil {
		return nil, err
	}
	return s.GetClientByClientID(ctx, id)
}

func (s *storage) ClientCredentialsTokenRequest(_ context.Context, id string, scopes []string) (op.TokenRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clients[id]
	if c == nil {
		return nil, errUnknown
	}
	return &credentials{c.Client, scopes}, nil
}

func (s *storage) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.clients[id]; c != nil {
		return c, nil
	}
	return nil, errUnknown
}

func (s *storage) AuthorizeClientIDSecret(_ context.Context, id, secret string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.clients[id]; c == nil || c.Secret != secret {
		return errUnknown
	}
	return nil
}

func (s *storage) SetUserinfoFromScopes(context.Context, *oidc.UserInfo, string, string, []string) error {
	return nil // SetUserinfoFromRequest does it
}

// SetUserinfoFromRequest says what is in the ID token.
func (s *storage) SetUserinfoFromRequest(_ context.Context, info *oidc.UserInfo, r op.IDTokenRequest, scopes []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tellLocked(info, r.GetSubject(), scopes)
	return nil
}

// SetUserinfoFromToken says what the page /userinfo does.
func (s *storage) SetUserinfoFromToken(_ context.Context, info *oidc.UserInfo, id, subject, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	token, ok := s.tokens[id]
	if !ok || time.Now().After(token.ends) {
		return errUnknown
	}
	s.tellLocked(info, subject, token.scopes)
	return nil
}

func (s *storage) tellLocked(info *oidc.UserInfo, subject string, scopes []string) {
	u := s.users[subject]
	info.Subject = subject
	for _, scope := range scopes {
		switch scope {
		case oidc.ScopeProfile:
			info.PreferredUsername = u.Name
		case oidc.ScopeEmail:
			info.Email, info.EmailVerified = u.Email, oidc.Bool(u.EmailVerified)
		case ScopeGroups:
			info.AppendClaims("groups", u.Groups)
		}
	}
}

// SetIntrospectionFromToken is the answer of RFC 7662 section 2.2; the error makes
// it "active":false.
func (s *storage) SetIntrospectionFromToken(_ context.Context, answer *oidc.IntrospectionResponse, id, subject, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	token, ok := s.tokens[id]
	if !ok || time.Now().After(token.ends) {
		return errUnknown
	}
	info := new(oidc.UserInfo)
	s.tellLocked(info, subject, token.scopes)
	answer.SetUserInfo(info)
	answer.Scope, answer.ClientID, answer.Audience = token.scopes, token.client, token.audience
	answer.TokenType, answer.JWTID = oidc.BearerToken, id
	answer.IssuedAt, answer.Expiration = oidc.FromTime(token.begins), oidc.FromTime(token.ends)
	return nil
}

// GetPrivateClaimsFromScopes says what is in access tokens that are JWTs. The
// library leaves the scopes profile and email to /userinfo; many providers have
// the name of the user in there.
func (s *storage) GetPrivateClaimsFromScopes(_ context.Context, subject, _ string, scopes []string) (map[string]any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info := new(oidc.UserInfo)
	s.tellLocked(info, subject, scopes)
	claims := map[string]any{}
	if u, ok := s.users[subject]; ok {
		claims["preferred_username"] = u.Name
	}
	for name, value := range info.Claims {
		claims[name] = value
	}
	return claims, nil
}

// RevokeToken makes an access token inactive.
func (s *storage) RevokeToken(_ context.Context, id, _, client string) *oidc.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if token, ok := s.tokens[id]; ok && token.client != client {
		return oidc.ErrInvalidClient()
	}
	delete(s.tokens, id)
	return nil
}

func (s *storage) TerminateSession(context.Context, string, string) error { return nil }

func (s *storage) Health(context.Context) error { return nil }

// What no client here may ask for: refresh tokens and signed assertions.

func (s *storage) CreateAccessAndRefreshTokens(context.Context, op.TokenRequest, string) (string, string, time.Time, error) {
	return "", "", time.Time{}, oidc.ErrUnsupportedGrantType()
}

func (s *storage) TokenRequestByRefreshToken(context.Context, string) (op.RefreshTokenRequest, error) {
	return nil, op.ErrInvalidRefreshToken
}

func (s *storage) GetRefreshTokenInfo(context.Context, string, string) (user, token string, err error) {
	return "", "", op.ErrInvalidRefreshToken
}

func (s *storage) GetKeyByIDAndClientID(context.Context, string, string) (*jose.JSONWebKey, error) {
	return nil, errUnknown
}

func (s *storage) ValidateJWTProfileScopes(context.Context, string, []string) ([]string, error) {
	return nil, errUnknown
}
