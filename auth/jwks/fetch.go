package jwks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"sluice/auth"
)

// fetchTimeout bounds discovery and keys together.
const fetchTimeout = 10 * time.Second

// maxHeader bounds the header of an answer, in bytes.
const maxHeader = 16 << 10

// fetcher asks a provider.
type fetcher struct{ client *http.Client }

func newClient() fetcher {
	return fetcher{&http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			MaxResponseHeaderBytes: maxHeader,
			DisableKeepAlives:      true, // a request every few minutes
		},
		// Whoever can make a provider redirect could name the keys.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// fetch returns the keys as the provider publishes them now.
func (f fetcher) fetch(ctx context.Context, s Source) ([]auth.IssuerKey, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	address := s.URL
	if address == "" {
		var err error
		if address, err = f.discover(ctx, s.Issuer); err != nil {
			return nil, fmt.Errorf("discovery: %w", err)
		}
	}
	b, err := f.get(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	keys, err := parse(b)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return keys, nil
}

// discover asks where the keys are (OpenID Connect Discovery 1.0 section 4).
func (f fetcher) discover(ctx context.Context, issuer string) (string, error) {
	b, err := f.get(ctx, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return "", err
	}
	var d struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if json.Unmarshal(b, &d) != nil {
		return "", errors.New("not a discovery document")
	}
	if d.Issuer != issuer {
		return "", errors.New("the document is of another issuer")
	}
	if err := auth.CheckIssuerURL(d.Keys); err != nil {
		return "", fmt.Errorf("jwks_uri: %w", err)
	}
	return d.Keys, nil
}

// get reads a document, as far as it may be long.
func (f fetcher) get(ctx context.Context, address string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	answer, err := f.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the provider answers %d", answer.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxDocument+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxDocument {
		return nil, fmt.Errorf("more than %d bytes", maxDocument)
	}
	return b, nil
}
