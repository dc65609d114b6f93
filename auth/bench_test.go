package auth_test

import (
	"strings"
	"testing"

	"sluice/auth"
)

const usualClaims = `{"role":["webpubsub.joinLeaveGroup","webpubsub.sendToGroup"],"iat":1700000000,"exp":1700003600,` +
	`"aud":"http://localhost:8080/client/hubs/chat","sub":"user-12345","webpubsub.group":["room-1"]}`

func BenchmarkVerify(b *testing.B) {
	token := hs256(usualClaims)
	sixteen := make([]auth.Key, 16)
	for i := range sixteen {
		sixteen[i].Secret = auth.Secret(strings.Repeat("x", 32+i))
	}
	sixteen[15].Secret = key1
	for _, c := range []struct {
		name, token string
		keys        []auth.Key
		want        auth.Reason
	}{
		{"one key", token, []auth.Key{{Secret: key1}}, ""},
		{"last of 16 keys", token, sixteen, ""},
		{"wrong key", token, []auth.Key{{Secret: key2}}, auth.TokenSignature},
		{"garbage of 8 KiB", strings.Repeat("A", 4<<10) + "." + strings.Repeat("A", 4<<10-2) + ".", []auth.Key{{Secret: key1}}, auth.TokenMalformed},
	} {
		b.Run(c.name, func(b *testing.B) {
			v := newVerifier(b, func(cfg *auth.Config) { cfg.Keys = c.keys })
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(c.token, "chat", now); reasonOf(b, err) != c.want {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAllowed(b *testing.B) {
	hostile := []string{`sluice.sendToGroups.**` + strings.Repeat("a", 500) + "*" + strings.Repeat("a", 500) + "b"}
	for _, c := range []struct {
		name, group string
		roles       []string
		want        bool
	}{
		{"every group", "room-1", []string{"sluice.sendToGroup"}, true},
		{"one literal", "room-1", []string{"sluice.sendToGroup.room-1"}, true},
		{"1000 literals", "room-999", numbered("sluice.sendToGroup.room-%d", 1000), true},
		{"one pattern", "room.12345", []string{"sluice.sendToGroups.room.*"}, true},
		{"ten patterns, none fits", "room.12345", numbered("sluice.sendToGroups.%d.*", 10), false},
		{"hostile pattern, 1 KiB", strings.Repeat("a", 1024), hostile, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			p, _ := auth.CompileRoles(c.roles)
			group := []byte(c.group)
			b.ReportAllocs()
			for b.Loop() {
				if p.Allowed(auth.SendToGroup, group) != c.want {
					b.Fatal("not as wanted")
				}
			}
		})
	}
}

func BenchmarkOriginsAllow(b *testing.B) {
	list := append(numbered("https://app%d.example.com", 9), "https://*.example.org")
	for _, c := range []struct {
		name, origin string
		patterns     []string
	}{
		{"same host", "https://example.com", nil},
		{"last of 10", "https://a.b.example.org", list},
	} {
		b.Run(c.name, func(b *testing.B) {
			o, err := auth.ParseOrigins(c.patterns)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if !o.Allow(c.origin, "example.com") {
					b.Fatal("not allowed")
				}
			}
		})
	}
}
