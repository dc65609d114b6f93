package auth

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	singleKey  = "0123456789abcdef0123456789abcdef"
	singlePath = "/api/hubs/chat/groups/a%2Fb/:send?excluded=c1"
	singleID   = "a-text-of-16-bytes-or-more"
)

// singleRig is a hub that takes each token once.
type singleRig struct {
	t       *testing.T
	single  *SingleUse
	v       *Verifier
	started time.Time
	now     time.Time
}

func newSingleRig(t *testing.T, most int) *singleRig {
	v, err := NewVerifier(Config{Keys: []Key{{Secret: singleKey}}})
	if err != nil {
		t.Fatal(err)
	}
	r := &singleRig{t: t, v: v, started: time.Unix(1_700_000_000, 500_000_000)}
	r.now = r.started.Add(time.Hour)
	r.single = NewSingleUse(5*time.Minute, most, []string{"Chat"}, r.started)
	return r
}

// claims are good for a POST to singlePath with the body "hello" at the rig's time.
func (r *singleRig) claims() map[string]any {
	return map[string]any{
		"aud": "http://localhost:8080" + singlePath, "htm": "POST", "jti": singleID,
		"iat": r.now.Unix(), "exp": r.now.Add(time.Minute).Unix(),
		"body_sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
	}
}

// try makes a call to the hub "chat" and returns why it was refused, "" if not.
func (r *singleRig) try(claims map[string]any, method, path, body string) Reason {
	r.t.Helper()
	token, err := sign([]byte(singleKey), claims)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.present(token, "chat", method, path, body)
}

func (r *singleRig) present(token, hub, method, path, body string) Reason {
	r.t.Helper()
	q := httptest.NewRequest(method, path, nil)
	q.Header.Set("Authorization", "Bearer "+token)
	c, err := r.single.Verify(r.v, q, hub, r.now)
	if err == nil {
		err = c.Spend([]byte(body), r.now)
	}
	if err == nil {
		return ""
	}
	refusal, ok := errors.AsType[*Refusal](err)
	if !ok || refusal.Detail == "" || strings.Contains(refusal.Detail, token) {
		r.t.Fatalf("error %v", err)
	}
	if full := refusal.Reason == CallsFull; full != (refusal.Status == 503) {
		r.t.Errorf("%s is answered %d", refusal.Reason, refusal.Status)
	}
	return refusal.Reason
}

// TestSingleCall: what a token must say to be good for one call.
func TestSingleCall(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(r *singleRig, c map[string]any)
		want   Reason
	}{
		{"good", func(*singleRig, map[string]any) {}, ""},
		{"path alone", func(_ *singleRig, c map[string]any) { c["aud"] = singlePath }, ""},
		{"several URLs", func(_ *singleRig, c map[string]any) { c["aud"] = []string{"/x", singlePath} }, ""},
		{"no iat", func(_ *singleRig, c map[string]any) { delete(c, "iat") }, CallIncomplete},
		{"no jti", func(_ *singleRig, c map[string]any) { delete(c, "jti") }, CallIncomplete},
		{"short jti", func(_ *singleRig, c map[string]any) { c["jti"] = "123456789012345" }, CallIncomplete},
		{"shortest jti", func(_ *singleRig, c map[string]any) { c["jti"] = "1234567890123456" }, ""},
		{"longest jti", func(_ *singleRig, c map[string]any) { c["jti"] = strings.Repeat("x", 128) }, ""},
		{"long jti", func(_ *singleRig, c map[string]any) { c["jti"] = strings.Repeat("x", 129) }, CallIncomplete},
		{"no method", func(_ *singleRig, c map[string]any) { delete(c, "htm") }, CallIncomplete},
		{"a method that is no text", func(_ *singleRig, c map[string]any) { c["htm"] = []string{"POST"} }, CallIncomplete},
		{"no hash", func(_ *singleRig, c map[string]any) { delete(c, "body_sha256") }, CallIncomplete},
		{"another method", func(_ *singleRig, c map[string]any) { c["htm"] = "DELETE" }, CallMismatch},
		{"lower case", func(_ *singleRig, c map[string]any) { c["htm"] = "post" }, CallMismatch},
		{"another body", func(_ *singleRig, c map[string]any) { c["body_sha256"] = bodyHash([]byte("hellO")) }, CallMismatch},
		{"upper-case digits", func(_ *singleRig, c map[string]any) {
			c["body_sha256"] = strings.ToUpper(c["body_sha256"].(string))
		}, CallMismatch},
		{"all of the hub", func(_ *singleRig, c map[string]any) { c["aud"] = "/api/hubs/chat" }, CallMismatch},
		{"no query", func(_ *singleRig, c map[string]any) { c["aud"] = "/api/hubs/chat/groups/a%2Fb/:send" }, CallMismatch},
		{"another query", func(_ *singleRig, c map[string]any) {
			c["aud"] = "/api/hubs/chat/groups/a%2Fb/:send?excluded=c2"
		}, CallMismatch},
		{"another group, by case", func(_ *singleRig, c map[string]any) {
			c["aud"] = "/api/hubs/chat/groups/A%2Fb/:send?excluded=c1"
		}, CallMismatch},
		{"decoded", func(_ *singleRig, c map[string]any) { c["aud"] = "/api/hubs/chat/groups/a/b/:send?excluded=c1" }, CallMismatch},
		{"expired", func(r *singleRig, c map[string]any) { c["exp"] = r.now.Add(-time.Hour).Unix() }, TokenExpired},
		{"old, still in the window", func(r *singleRig, c map[string]any) { c["iat"] = r.now.Add(-5*time.Minute).UnixMilli() / 1000 }, CallStale}, // rounded down
		{"just in the window", func(r *singleRig, c map[string]any) {
			c["iat"] = float64(r.now.Add(-5*time.Minute).UnixMilli()) / 1000
		}, ""},
		{"old", func(r *singleRig, c map[string]any) { c["iat"] = r.now.Add(-301 * time.Second).Unix() }, CallStale},
		{"a little in the future", func(r *singleRig, c map[string]any) { c["iat"] = r.now.Add(4 * time.Second).Unix() }, ""},
		{"in the future", func(r *singleRig, c map[string]any) { c["iat"] = r.now.Add(7 * time.Second).Unix() }, CallStale},
		{"from before the start", func(r *singleRig, c map[string]any) {
			r.now = r.started.Add(time.Second)
			c["iat"], c["exp"] = r.started.Unix(), r.now.Add(time.Minute).Unix()
		}, CallStale},
		{"from right after the start", func(r *singleRig, c map[string]any) {
			r.now = r.started.Add(time.Second)
			c["iat"], c["exp"] = float64(r.started.UnixMilli()+1)/1000, r.now.Add(time.Minute).Unix()
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newSingleRig(t, 10)
			claims := r.claims()
			tt.change(r, claims)
			if got := r.try(claims, "POST", singlePath, "hello"); got != tt.want {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
			again := tt.want
			if again == "" {
				again = CallReplayed
			}
			if got := r.try(claims, "POST", singlePath, "hello"); got != again {
				t.Errorf("the second time %q, want %q", got, again)
			}
		})
	}
}

// TestSingleCallForged: a token of another key is refused before anything else, and
// does not count as used.
func TestSingleCallForged(t *testing.T) {
	r := newSingleRig(t, 10)
	forged, err := sign([]byte("another key, of 32 bytes or more"), r.claims())
	if err != nil {
		t.Fatal(err)
	}
	if got := r.present(forged, "chat", "POST", singlePath, "hello"); got != TokenSignature {
		t.Errorf("forged: %q", got)
	}
	// Nor does one that came with something else than it was made for.
	for _, c := range [][3]string{{"DELETE", singlePath, ""}, {"POST", singlePath + "x", "hello"}, {"POST", singlePath, "hell"}} {
		if got := r.try(r.claims(), c[0], c[1], c[2]); got != CallMismatch {
			t.Errorf("%v: %q", c, got)
		}
	}
	if got := r.try(r.claims(), "POST", singlePath, "hello"); got != "" {
		t.Errorf("the genuine call after them: %q", got)
	}
}

// TestMintSingleCall: what we make ourselves is taken, once, and by hubs that take
// tokens many times as well.
func TestMintSingleCall(t *testing.T) {
	r := newSingleRig(t, 10)
	for _, c := range [][3]string{{"POST", singlePath, "hello"}, {"HEAD", "/api/hubs/chat/users/u", ""}} {
		token, err := MintSingleCall([]byte(singleKey), c[0], "http://localhost:8080"+c[1], []byte(c[2]), time.Minute, r.now)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.present(token, "chat", c[0], c[1], c[2]); got != "" {
			t.Errorf("%v: %q", c, got)
		}
		if got := r.present(token, "CHAT", c[0], c[1], c[2]); got != CallReplayed {
			t.Errorf("%v again: %q", c, got)
		}
		q := httptest.NewRequest(c[0], c[1], nil)
		q.Header.Set("Authorization", "Bearer "+token)
		wantReason(t, r.v.VerifyCall(q, r.now), "")
	}
	if _, err := MintSingleCall([]byte("short"), "GET", "/api", nil, time.Minute, r.now); err == nil {
		t.Error("a short key is taken")
	}
	// In the millisecond in which a node is started it takes tokens already.
	for i := range 1000 {
		r.now = time.Unix(1_800_000_000, 0).Add(time.Duration(i) * time.Millisecond)
		r.single = NewSingleUse(5*time.Minute, 10, nil, r.now.Add(999*time.Microsecond))
		token, err := MintSingleCall([]byte(singleKey), "POST", singlePath, nil, time.Minute, r.now)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.present(token, "chat", "POST", singlePath, ""); got != "" {
			t.Fatalf("at %d ms: %q", i, got)
		}
	}
	// Another node that has just started does not take what the first one took.
	token, err := MintSingleCall([]byte(singleKey), "POST", singlePath, nil, time.Minute, r.now)
	if err != nil {
		t.Fatal(err)
	}
	r.single = NewSingleUse(5*time.Minute, 10, nil, r.now.Add(time.Second))
	r.now = r.now.Add(2 * time.Second)
	if got := r.present(token, "chat", "POST", singlePath, ""); got != CallStale {
		t.Errorf("after a restart: %q", got)
	}
}

// TestSingleUseConcurrent: of many who come with one token at once, one goes on.
func TestSingleUseConcurrent(t *testing.T) {
	r := newSingleRig(t, 10)
	var (
		all      sync.WaitGroup
		admitted atomic.Int64
	)
	for range 8 {
		all.Go(func() {
			for i := range 10 {
				c := &SingleCall{used: r.single, hub: "chat", id: fmt.Sprint(i)}
				if c.Spend(nil, r.now) == nil {
					admitted.Add(1)
				}
			}
		})
	}
	all.Wait()
	if n := admitted.Load(); n != 10 {
		t.Errorf("%d calls with 10 tokens", n)
	}
}

// TestSingleUseIsBounded: a full memory takes nobody, forgets nobody early, and has
// room again when the first ones are over. Each hub has its own.
func TestSingleUseIsBounded(t *testing.T) {
	r := newSingleRig(t, 3)
	spend := func(hub, id string) Reason {
		err := (&SingleCall{used: r.single, hub: hub, id: id, leeway: time.Minute}).Spend(nil, r.now)
		if refusal, ok := errors.AsType[*Refusal](err); ok {
			return refusal.Reason
		}
		return ""
	}
	for i, tt := range []struct {
		pass    time.Duration
		hub, id string
		want    Reason
	}{
		{0, "chat", "a", ""},
		{time.Minute, "chat", "b", ""},
		{0, "chat", "c", ""},
		{0, "chat", "d", CallsFull},
		{0, "chat", "a", CallReplayed},
		{0, "other", "a", ""}, // a hub that was not named
		{0, "third", "a", ""}, // nor was this one
		{5 * time.Minute, "chat", "a", CallReplayed},
		{0, "chat", "d", CallsFull},
		{time.Second, "chat", "d", ""},
		{0, "chat", "b", CallReplayed},
		{0, "chat", "e", CallsFull},
		{time.Hour, "chat", "e", ""},
	} {
		r.now = r.now.Add(tt.pass)
		if got := spend(tt.hub, tt.id); got != tt.want {
			t.Errorf("step %d: %s about %s: %q, want %q", i, tt.id, tt.hub, got, tt.want)
		}
	}
	if s := r.single.hubs["chat"]; len(s.ids) != 1 || len(s.order) != 1 {
		t.Errorf("%d and %d remembered after an hour", len(s.ids), len(s.order))
	}
}
