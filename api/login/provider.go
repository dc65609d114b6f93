package login

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"sluice/auth"
)

const (
	// askTimeout bounds each request to the provider.
	askTimeout = 10 * time.Second

	// rediscover is how old a discovery document becomes.
	rediscover = time.Hour

	// retryAfter is how long a failed discovery is not tried again: strangers can
	// ask for logins as often as they like.
	retryAfter = 5 * time.Second

	maxAnswer = 1 << 20  // bytes of an answer of the provider
	maxHeader = 16 << 10 // bytes of its header
	maxError  = 200      // bytes of an error that are logged
)

// errAway means that the provider cannot be asked.
var errAway = errors.New("the identity provider does not answer")

// provider is the identity provider as this node knows it. It is asked when
// somebody logs in and not before, so that a node starts without it. Safe for
// concurrent use.
type provider struct {
	// Static after newProvider.
	cfg    Config
	client *http.Client
	now    func() time.Time

	turn chan struct{} // of one: who discovers; guards what follows
	found
	failed time.Time // when discovery last did
}

// found is what discovery leads to.
type found struct {
	oauth *oauth2.Config
	keys  oidc.KeySet
	at    time.Time
}

func newProvider(cfg Config, now func() time.Time) *provider {
	return &provider{cfg: cfg, client: newClient(), now: now, turn: make(chan struct{}, 1)}
}

// newClient returns a client that takes neither long answers nor redirects:
// whoever can make a provider redirect could name the keys.
func newClient() *http.Client {
	return &http.Client{
		Timeout: askTimeout,
		Transport: bounded{&http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			MaxResponseHeaderBytes: maxHeader,
			DisableKeepAlives:      true, // a few requests a day
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// bounded cuts long answers off, as the libraries read them whole.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(answer.Body, maxAnswer), answer.Body}
	return answer, nil
}

// discover returns where the provider is to be asked, from memory where that is
// fresh.
func (p *provider) discover(ctx context.Context) (found, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return found{}, fmt.Errorf("%w: %w", errAway, ctx.Err())
	}
	now := p.now()
	if p.oauth != nil && now.Sub(p.at) < rediscover {
		return p.found, nil
	}
	if now.Sub(p.failed) >= retryAfter {
		// Not to end with the request: who asks and leaves would keep others out.
		fresh, err := p.ask(context.WithoutCancel(ctx)) // askTimeout bounds it
		if err == nil {
			fresh.at = now
			p.found = fresh
			return p.found, nil
		}
		p.failed = p.now()
		if p.oauth == nil {
			return found{}, fmt.Errorf("%w: %w", errAway, err)
		}
	}
	if p.oauth == nil {
		return found{}, errAway
	}
	return p.found, nil // addresses rarely change
}

// ask fetches the discovery document.
func (p *provider) ask(ctx context.Context) (found, error) {
	known, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.cfg.Issuer)
	if err != nil {
		return found{}, err
	}
	var where struct {
		Authorization string `json:"authorization_endpoint"`
		Token         string `json:"token_endpoint"`
		Keys          string `json:"jwks_uri"`

		AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := known.Claims(&where); err != nil {
		return found{}, err
	}
	for name, address := range map[string]string{
		"authorization_endpoint": where.Authorization, "token_endpoint": where.Token, "jwks_uri": where.Keys,
	} {
		if err := auth.CheckIssuerURL(address); err != nil {
			return found{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	endpoint := known.Endpoint()
	endpoint.AuthStyle = authStyle(p.cfg.ClientSecret != "", where.AuthMethods)
	return found{
		oauth: &oauth2.Config{
			ClientID: p.cfg.ClientID, ClientSecret: string(p.cfg.ClientSecret), Scopes: p.cfg.Scopes,
			RedirectURL: p.cfg.URL + callbackPath, Endpoint: endpoint,
		},
		keys: oidc.NewRemoteKeySet(oidc.ClientContext(ctx, p.client), where.Keys),
	}, nil
}

// authStyle returns how the client shows its secret: in a header, as the
// specification has it unless the provider says otherwise (OpenID Connect
// Discovery 1.0 section 3). To try both, as the library would, could spend the code.
func authStyle(secret bool, methods []string) oauth2.AuthStyle {
	if !secret || len(methods) > 0 && !slices.Contains(methods, "client_secret_basic") {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader
}

// errRefused means that what came back from the provider is no proof of a login.
var errRefused = errors.New("the login is not accepted")

// redeem makes of a code the user who has logged in (RFC 6749 section 4.1.3, OpenID
// Connect Core 1.0 section 3.1.3). The error is errAway or errRefused.
func (p *provider) redeem(ctx context.Context, code string, s state) (user, error) {
	f, err := p.discover(ctx)
	if err != nil {
		return user{}, err
	}
	ctx = oidc.ClientContext(ctx, p.client)
	token, err := f.oauth.Exchange(ctx, code, oauth2.VerifierOption(s.Verifier))
	if err != nil {
		return user{}, exchangeError(err)
	}
	text, _ := token.Extra("id_token").(string)
	if text == "" {
		return user{}, fmt.Errorf("%w: the provider sent no ID token", errRefused)
	}
	id, err := p.verify(ctx, f.keys, text)
	if err != nil {
		return user{}, err
	}
	return p.identify(id, s)
}

// identify checks what the library leaves to its caller (OpenID Connect Core 1.0
// section 3.1.3.7).
func (p *provider) identify(id *oidc.IDToken, s state) (user, error) {
	u := user{subject: id.Subject}
	var party struct {
		Authorized string `json:"azp"`
	}
	if err := errors.Join(id.Claims(&u.claims), id.Claims(&party)); err != nil {
		return user{}, fmt.Errorf("%w: %w", errRefused, err)
	}
	switch {
	case !equal(id.Nonce, s.Nonce):
		return user{}, fmt.Errorf("%w: the nonce of the ID token is of another login", errRefused)
	case party.Authorized != "" && party.Authorized != p.cfg.ClientID,
		party.Authorized == "" && len(id.Audience) > 1:
		return user{}, fmt.Errorf("%w: the ID token is for another client", errRefused)
	case id.Subject == "":
		return user{}, fmt.Errorf("%w: the ID token has no subject", errRefused)
	}
	return u, nil
}

// exchangeError tells a provider that says no from one that says nothing. What it
// says else is left out: it may repeat what it was sent.
func exchangeError(err error) error {
	var answer *oauth2.RetrieveError
	switch {
	case !errors.As(err, &answer):
		return fmt.Errorf("%w: %w", errAway, err)
	case answer.Response != nil && answer.Response.StatusCode >= 500:
		return fmt.Errorf("%w: it answers %d", errAway, answer.Response.StatusCode)
	}
	return fmt.Errorf("%w: the provider refuses the code: %s", errRefused, plain(answer.ErrorCode))
}

// watchedKeys are the keys of the provider for one ID token. Their error is kept
// here because the library returns its text alone, and keys that could not be
// fetched are no fault of the token.
type watchedKeys struct {
	oidc.KeySet
	err error
}

// VerifySignature implements oidc.KeySet.
func (w *watchedKeys) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	payload, err := w.KeySet.VerifySignature(ctx, token)
	w.err = err
	return payload, err
}

// verify checks an ID token. The error is errAway or errRefused.
func (p *provider) verify(ctx context.Context, keys oidc.KeySet, token string) (*oidc.IDToken, error) {
	watched := &watchedKeys{KeySet: keys}
	id, err := oidc.NewVerifier(p.cfg.Issuer, watched, &oidc.Config{
		ClientID: p.cfg.ClientID, SupportedSigningAlgs: algorithms, Now: p.now,
	}).Verify(ctx, token)
	var failure *url.Error
	switch {
	case err == nil:
		return id, nil
	case errors.As(watched.err, &failure), errors.Is(watched.err, context.DeadlineExceeded), errors.Is(watched.err, context.Canceled):
		return nil, fmt.Errorf("%w: %w", errAway, watched.err)
	}
	return nil, fmt.Errorf("%w: %w", errRefused, err)
}

// algorithms are those whose keys can be published: none that a client secret
// would do for, whatever the provider lists.
var algorithms = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512,
	oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA,
}

// plain returns a code of RFC 6749 section 5.2, or what is left of something else:
// it goes into logs.
func plain(code string) string {
	code = code[:min(len(code), maxCode)]
	if code == "" || strings.ContainsFunc(code, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }) {
		return "unknown"
	}
	return code
}

// maxCode is longer than any code there is, in bytes.
const maxCode = 40
