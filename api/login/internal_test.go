package login

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// keysAway are keys that cannot be had.
type keysAway struct{ err error }

func (k keysAway) VerifySignature(context.Context, string) ([]byte, error) { return nil, k.err }

// token is signed by nobody: `{"alg":"RS256"}.{}.`
const token = "eyJhbGciOiJSUzI1NiJ9.e30.AAAA"

// TestVerify tells a provider that is away from a token that is wrong, and takes
// no algorithm for which the client secret would be a key.
func TestVerify(t *testing.T) {
	p := newProvider(Config{Issuer: "https://login.test", ClientID: "ops"}, time.Now)
	fetch := fmt.Errorf("fetching keys %w", &url.Error{Op: "Get", URL: "https://login.test/keys", Err: errors.New("refused")})
	for name, tt := range map[string]struct {
		token string
		keys  oidc.KeySet
		want  error
	}{
		"keys away":    {token, keysAway{fetch}, errAway},
		"keys late":    {token, keysAway{context.DeadlineExceeded}, errAway},
		"no such key":  {token, keysAway{errors.New("failed to verify id token signature")}, errRefused},
		"HS256":        {"eyJhbGciOiJIUzI1NiJ9.e30.AAAA", keysAway{fetch}, errRefused},
		"none":         {"eyJhbGciOiJub25lIn0.e30.", keysAway{fetch}, errRefused},
		"not a token":  {"x", keysAway{fetch}, errRefused},
		"empty claims": {token, keysAway{nil}, errRefused},
	} {
		if _, err := p.verify(t.Context(), tt.keys, tt.token); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

func TestAuthStyle(t *testing.T) {
	for _, tt := range []struct {
		secret  bool
		methods []string
		want    oauth2.AuthStyle
	}{
		{true, nil, oauth2.AuthStyleInHeader},
		{true, []string{"client_secret_post", "client_secret_basic"}, oauth2.AuthStyleInHeader},
		{true, []string{"client_secret_post"}, oauth2.AuthStyleInParams},
		{false, nil, oauth2.AuthStyleInParams},
	} {
		if got := authStyle(tt.secret, tt.methods); got != tt.want {
			t.Errorf("%v %v: %v", tt.secret, tt.methods, got)
		}
	}
}

func TestPlain(t *testing.T) {
	for code, want := range map[string]string{
		"invalid_grant": "invalid_grant", "": "unknown", "a\nb": "unknown", "<b>": "unknown",
	} {
		if got := plain(code); got != want {
			t.Errorf("%q: %q", code, got)
		}
	}
}

// TestEnded: more logouts than are remembered end every session rather than
// bringing one back.
func TestEnded(t *testing.T) {
	now := time.Now()
	s := newSessions(time.Hour)
	stays, first := s.begin("u", now), s.begin("u", now)
	end := func(text string) {
		t.Helper()
		one, ok := s.find(text, now)
		if !ok {
			t.Fatal("no session")
		}
		s.end(one, now)
	}
	end(first)
	for range maxEnded - 1 {
		end(s.begin("u", now))
	}
	if _, ok := s.find(stays, now); !ok || len(s.ended) != maxEnded {
		t.Fatalf("before the limit: %v, %d ended", ok, len(s.ended))
	}
	now = now.Add(time.Hour)
	end(s.begin("u", now)) // those before are over by themselves
	if len(s.ended) != 1 {
		t.Errorf("%d ended sessions are remembered that would be over", len(s.ended))
	}
	stays = s.begin("u", now)
	for range maxEnded {
		end(s.begin("u", now))
	}
	for _, text := range []string{stays, first} {
		if _, ok := s.find(text, now); ok {
			t.Errorf("above the limit a session goes on")
		}
	}
	if _, ok := s.find(s.begin("u", now), now); !ok {
		t.Errorf("nobody can log in again")
	}
}
