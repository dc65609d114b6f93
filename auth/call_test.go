package auth

import (
	"errors"
	"net/http/httptest"
	"testing"
	"time"
)

func TestVerifyCall(t *testing.T) {
	const key = "0123456789abcdef0123456789abcdef"
	now := time.Unix(1_700_000_000, 0)
	const call = "/api/hubs/chat/groups/a%2Fb/:send?api-version=2024-12-01"
	for _, tt := range []struct {
		name      string
		endpoints []string
		aud       string
		want      Reason // "" for none
	}{
		{"whole URL", nil, "http://localhost:8080" + call, ""},
		{"without the query", nil, "http://localhost:8080/api/hubs/chat/groups/a%2Fb/:send", ""},
		{"another query", nil, "http://localhost:8080/api/hubs/chat/groups/a%2Fb/:send?x=1", ""},
		{"decoded", nil, "http://localhost:8080/api/hubs/chat/groups/a/b/:send", ""},
		{"other case", nil, "HTTP://LOCALHOST:8080/API/Hubs/CHAT/groups/a%2fb/:send", ""},
		{"path alone", nil, "/api/hubs/chat/groups/a%2Fb/:send", ""},
		{"all of the hub", nil, "http://localhost:8080/api/hubs/chat", ""},
		{"all of the hub, with a slash", nil, "/api/hubs/chat/", ""},
		{"all of the API", nil, "/api", ""},
		{"at the endpoint", []string{"https://chat.example.com"}, "https://chat.example.com/api/hubs/chat", ""},

		{"a group whose name begins so", nil, "/api/hubs/chat/groups/a", TokenAudience},
		{"a group whose name begins so, encoded", nil, "/api/hubs/chat/groups/a%2F", TokenAudience},
		{"another endpoint", []string{"https://chat.example.com"}, "https://other.example.com/api/hubs/chat", TokenAudience},
		{"path alone, with endpoints", []string{"https://chat.example.com"}, "/api/hubs/chat", TokenAudience},
		{"another hub", nil, "/api/hubs/chat2", TokenAudience},
		{"beginning of the name", nil, "/api/hubs/cha", TokenAudience},
		{"below", nil, "/api/hubs/chat/groups/a%2Fb/:send/x", TokenAudience},
		{"everything", nil, "/", TokenAudience},
		{"nothing", nil, "", TokenAudience},
		{"a client's", nil, "/client/hubs/chat", TokenAudience},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := NewVerifier(Config{Keys: []Key{{Secret: key}}, Endpoints: tt.endpoints})
			if err != nil {
				t.Fatal(err)
			}
			token, err := MintCall([]byte(key), tt.aud, time.Minute, now)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest("POST", call, nil)
			r.Header.Set("Authorization", "Bearer "+token)
			wantReason(t, v.VerifyCall(r, now), tt.want)
			wantReason(t, v.VerifyCall(r, now), tt.want) // from the cache
			wantReason(t, v.VerifyCall(r, now.Add(time.Hour)), TokenExpired)
			wantReason(t, v.withOwn(nil, Tenant{Keys: []Key{{Secret: "another key, of 32 bytes or more"}}}).VerifyCall(r, now), TokenSignature)
		})
	}
}

func TestVerifyCallWithout(t *testing.T) {
	v, err := NewVerifier(Config{Keys: []Key{{Secret: "0123456789abcdef0123456789abcdef"}}})
	if err != nil {
		t.Fatal(err)
	}
	// Only the header counts: a page of another origin can have a browser send
	// cookies and queries, but not this.
	token, err := MintCall([]byte("0123456789abcdef0123456789abcdef"), "/api", time.Minute, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/api/hubs/chat/:send?access_token="+token, nil)
	r.Header.Set("Cookie", DefaultCookie+"="+token)
	wantReason(t, v.VerifyCall(r, time.Now()), TokenMissing)

	forged, err := MintCall([]byte("another key, of 32 bytes or more"), "/api", time.Minute, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+forged)
	wantReason(t, v.VerifyCall(r, time.Now()), TokenSignature)
}

func wantReason(t *testing.T, err error, want Reason) {
	t.Helper()
	r, ok := errors.AsType[*Refusal](err)
	switch {
	case want == "" && err != nil:
		t.Errorf("refused: %v", err)
	case want != "" && (!ok || r.Reason != want):
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestCallCacheIsBounded(t *testing.T) {
	const key = "0123456789abcdef0123456789abcdef"
	v, err := NewVerifier(Config{Keys: []Key{{Secret: key}}})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_700_000_000, 0)
	for i := range maxCachedCalls + 2 {
		token, err := MintCall([]byte(key), "/api", time.Minute+time.Duration(i)*time.Second, now)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("POST", "/api/hubs/chat/:send", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		wantReason(t, v.VerifyCall(r, now), "")
	}
	if n := len(v.calls.claims); n != 2 {
		t.Errorf("%d tokens are remembered", n)
	}
}
