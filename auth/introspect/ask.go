package introspect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"sluice/auth"
)

const (
	// maxAnswer bounds what is read of an answer, and so what is remembered of it,
	// in bytes: twice the default bound of a token.
	maxAnswer = 16 << 10

	// maxHeader bounds the header of an answer, in bytes.
	maxHeader = 16 << 10

	// endless stands for the end of a token whose end nobody tells: other bounds
	// come before.
	endless = 365 * 24 * time.Hour
)

// asker makes the requests.
type asker struct {
	cfg    auth.Introspection
	client *http.Client
}

func newAsker(cfg auth.Introspection) asker {
	return asker{cfg, &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			MaxResponseHeaderBytes: maxHeader,
			MaxConnsPerHost:        cfg.Workers,
			MaxIdleConnsPerHost:    cfg.Workers,
			IdleConnTimeout:        30 * time.Second,
			ForceAttemptHTTP2:      true,
		},
		// A token is shown to nobody but the provider.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (a asker) close() { a.client.CloseIdleConnections() }

// ask returns the whole answer about a token that is active, and nil about one that
// is not. No error shows anything of the token or of the secret.
func (a asker) ask(ctx context.Context, token string) (claims []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.Timeout)
	defer cancel()
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.cfg.URL, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	a.authenticate(r)
	answer, err := a.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden:
		return nil, fmt.Errorf("the provider answers %d: it does not let this node ask; see introspection.client_id", answer.StatusCode)
	case answer.StatusCode == http.StatusBadRequest:
		return nil, errBadRequest
	case answer.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the provider answers %d", answer.StatusCode)
	case err != nil:
		return nil, err
	case len(b) > maxAnswer:
		return nil, fmt.Errorf("an answer of more than %d bytes", maxAnswer)
	}
	return parse(bytes.Clone(b)) // of its length, not of what reading took
}

func (a asker) authenticate(r *http.Request) {
	if a.cfg.BearerToken != "" {
		r.Header.Set("Authorization", "Bearer "+string(a.cfg.BearerToken))
		return
	}
	// RFC 6749 section 2.3.1 has both encoded before.
	r.SetBasicAuth(url.QueryEscape(a.cfg.ClientID), url.QueryEscape(string(a.cfg.ClientSecret)))
}

// errBadRequest may be the token's fault: some providers refuse to look at what none
// of theirs looks like. It says nothing of the provider's health, or anybody could
// open the breaker with made-up tokens.
var errBadRequest = errors.New("the provider answers 400: it does not understand the request, or the token")

var errNoAnswer = errors.New("the provider's answer is not one of RFC 7662")

// parse returns the answer if it says that the token is active, and nil if it says
// that it is not (RFC 7662 section 2.2). Names must not come twice.
func parse(b []byte) (claims []byte, err error) {
	var answer struct {
		Active jsontext.Value `json:"active"`
	}
	if json.Unmarshal(b, &answer) != nil {
		return nil, errNoAnswer // what json says may quote it
	}
	switch answer.Active.Kind() {
	case 't':
		return b, nil
	case 'f':
		return nil, nil
	}
	return nil, errNoAnswer
}

// expiryOf returns when a token expires according to an answer.
func expiryOf(claims []byte) time.Time {
	var answer struct {
		Expires float64 `json:"exp"`
	}
	if json.Unmarshal(claims, &answer) != nil || answer.Expires <= 0 || answer.Expires > 1<<40 {
		return time.Now().Add(endless) // auth judges whether the answer can be read
	}
	return time.Unix(int64(answer.Expires), 0)
}
