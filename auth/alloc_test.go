package auth_test

import (
	"testing"

	"sluice/auth"
)

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	literals, _ := auth.CompileRoles(numbered("sluice.sendToGroup.a group with quite a long name %d", 1000))
	patterns, _ := auth.CompileRoles(numbered("sluice.sendToGroups.**.room.*.%d", 10))
	long := []byte("a group with quite a long name 999")
	room := []byte("building.1.room.12.9")
	origins, err := auth.ParseOrigins([]string{"https://app.example.com", "https://*.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	sameHost := &auth.Origins{}
	verifier := newVerifier(t, nil)
	token := hs256(usualClaims)

	cases := []struct {
		name string
		most float64
		run  func() bool
	}{
		{"Allowed, literal", 0, func() bool { return literals.Allowed(auth.SendToGroup, long) }},
		{"Allowed, pattern", 0, func() bool { return patterns.Allowed(auth.SendToGroup, room) }},
		{"Origins.Allow, list", 0, func() bool { return origins.Allow("https://a.b.example.com", "h") }},
		{"Origins.Allow, same host", 0, func() bool { return sameHost.Allow("https://Example.com:8443", "example.com:8443") }},
		{"ValidHub", 0, func() bool { return auth.ValidHub("chat") && auth.CanonicalHub("chat") == "chat" }},
		{"FromRequest, query", 0, func() bool {
			got, _, _ := auth.FromRequest(nil, "a=b&access_token=t", "")
			return got != ""
		}},
		{"Verify", 45, func() bool {
			_, err := verifier.Verify(token, "chat", now)
			return err == nil
		}},
	}
	for _, c := range cases {
		ok := true
		if n := testing.AllocsPerRun(100, func() { ok = ok && c.run() }); n > c.most || !ok {
			t.Errorf("%s: %v allocations, want at most %v; result %v", c.name, n, c.most, ok)
		}
	}
}
