package provider

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"testing"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// Tokens is what a client gets.
type Tokens struct{ Access, ID string }

// Login goes the way of a browser and of the client behind it (RFC 6749 section
// 4.1, RFC 7636) for the user who is logged in, and returns the tokens.
func (p *Provider) Login(t testing.TB, c Client) Tokens {
	t.Helper()
	config := oauth2.Config{
		ClientID: c.ID, ClientSecret: c.Secret, RedirectURL: c.RedirectURIs[0], Scopes: scopes,
		Endpoint: oauth2.Endpoint{AuthURL: p.URL + "/authorize", TokenURL: p.URL + "/oauth/token"},
	}
	verifier, state := oauth2.GenerateVerifier(), rand.Text()
	back := p.follow(t, config.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier)), c.RedirectURIs[0])
	if back.Get("state") != state || back.Get("code") == "" {
		t.Fatalf("the provider sends back %v", back)
	}
	token, err := config.Exchange(p.context(t), back.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	id, _ := token.Extra("id_token").(string)
	return Tokens{token.AccessToken, id}
}

// follow is a browser: it goes on until it is sent to the client, and returns
// with what.
func (p *Provider) follow(t testing.TB, address, client string) url.Values {
	t.Helper()
	browser := *p.Client()
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for range 10 {
		answer, err := browser.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		next, err := answer.Location()
		if err != nil {
			t.Fatalf("%s: %s without a place to go to", address, answer.Status)
		}
		query := next.Query()
		if address = next.String(); next.RawQuery != "" {
			next.RawQuery = ""
		}
		if next.String() == client {
			return query
		}
	}
	t.Fatal("no end of redirects")
	return nil
}

// ClientCredentials returns an access token that a client gets for itself (RFC
// 6749 section 4.4).
func (p *Provider) ClientCredentials(t testing.TB, c Client) string {
	t.Helper()
	config := clientcredentials.Config{ClientID: c.ID, ClientSecret: c.Secret, TokenURL: p.URL + "/oauth/token", Scopes: []string{ScopeGroups}}
	token, err := config.Token(p.context(t))
	if err != nil {
		t.Fatal(err)
	}
	return token.AccessToken
}

// Revoke makes an access token of a client inactive (RFC 7009).
func (p *Provider) Revoke(t testing.TB, c Client, token string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, p.URL+"/revoke?"+url.Values{"token": {token}}.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(url.QueryEscape(c.ID), url.QueryEscape(c.Secret))
	answer, err := p.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("revocation: %s", answer.Status)
	}
}

func (p *Provider) context(t testing.TB) context.Context {
	return context.WithValue(t.Context(), oauth2.HTTPClient, p.Client())
}
