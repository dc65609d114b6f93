package provider

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"sync"
	"testing"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// keys are what the provider signs with, the last one now.
type keys struct {
	t testing.TB

	mu  sync.Mutex // guards all
	all []key
}

// key is one of them. Most providers sign with RS256, and so does this.
type key struct {
	id      string
	private *rsa.PrivateKey
}

func (k *keys) rotate() string {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		k.t.Error(err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all = append(k.all, key{rand.Text(), private})
	return k.all[len(k.all)-1].id
}

func (k *keys) withdraw() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all = k.all[len(k.all)-1:]
}

// SigningKey implements op.AuthStorage.
func (k *keys) SigningKey(context.Context) (op.SigningKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return signing{k.all[len(k.all)-1]}, nil
}

// SignatureAlgorithms implements op.AuthStorage.
func (k *keys) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.RS256}, nil
}

// KeySet implements op.AuthStorage: what is published.
func (k *keys) KeySet(context.Context) ([]op.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	published := make([]op.Key, len(k.all))
	for i, key := range k.all {
		published[i] = public{key}
	}
	return published, nil
}

type signing struct{ key }

func (s signing) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (s signing) Key() any                                    { return s.private }
func (s signing) ID() string                                  { return s.id }

type public struct{ key }

func (p public) ID() string                         { return p.id }
func (p public) Algorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (p public) Use() string                        { return "sig" }
func (p public) Key() any                           { return p.private.Public() }
