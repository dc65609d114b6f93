package login_test

import (
	"slices"
	"testing"
	"time"

	"sluice/api/login"
)

func TestValidate(t *testing.T) {
	sound := func() login.Config {
		return login.Config{
			Issuer: "https://login.example.com", ClientID: "ops", URL: "https://ops.example.com",
			Allow: login.Allow{Subjects: []string{"*"}},
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*login.Config)
		want   []string
	}{
		{"sound", func(*login.Config) {}, nil},
		{"nothing", func(c *login.Config) { *c = login.Config{} }, nil},
		{"defaults", func(c *login.Config) { *c = login.Config{}.WithDefaults() }, nil},
		{"token alone", func(c *login.Config) { *c = login.Config{MetricsToken: "0123456789abcdef"} }, nil},
		{"on this machine", func(c *login.Config) { c.Issuer, c.URL = "http://127.0.0.1:1", "http://localhost:8081" }, nil},
		{"final slash", func(c *login.Config) { c.URL += "/" }, nil},
		{"short token", func(c *login.Config) { c.MetricsToken = "0123456789abcde" }, []string{"metrics_token"}},
		{"forgotten issuer", func(c *login.Config) { c.Issuer = "" }, []string{"issuer"}},
		{"forgotten issuer, users", func(c *login.Config) { *c = login.Config{Allow: c.Allow} }, []string{"issuer"}},
		{"plain issuer", func(c *login.Config) { c.Issuer = "http://login.example.com" }, []string{"issuer"}},
		{"no client", func(c *login.Config) { c.ClientID = "" }, []string{"client_id"}},
		{"no URL", func(c *login.Config) { c.URL = "" }, []string{"url"}},
		{"plain URL", func(c *login.Config) { c.URL = "http://ops.example.com" }, []string{"url"}},
		{"URL with a path", func(c *login.Config) { c.URL += "/sluice" }, []string{"url"}},
		{"URL with a query", func(c *login.Config) { c.URL += "?a" }, []string{"url"}},
		{"URL with an empty query", func(c *login.Config) { c.URL += "?" }, []string{"url"}},
		{"no openid", func(c *login.Config) { c.Scopes = []string{"email"} }, []string{"scopes"}},
		{"negative life", func(c *login.Config) { c.SessionLife = -1 }, []string{"session_life"}},
		{"long life", func(c *login.Config) { c.SessionLife = 721 * time.Hour }, []string{"session_life"}},
		{"nobody", func(c *login.Config) { c.Allow = login.Allow{} }, []string{"allow"}},
		{"claim without values", func(c *login.Config) { c.Allow.Claim = "groups" }, []string{"allow.claim"}},
		{"values without claim", func(c *login.Config) { c.Allow.Values = []string{"ops"} }, []string{"allow.claim"}},
		{"bad pointer", func(c *login.Config) { c.Allow.Claim, c.Allow.Values = "/a~2", []string{"ops"} }, []string{"allow.claim"}},
		{"bad emails", func(c *login.Config) { c.Allow.Emails = []string{"a@b", "ann", "ann@"} }, []string{"allow.emails[1]", "allow.emails[2]"}},
		{"empty subject", func(c *login.Config) { c.Allow.Subjects = []string{""} }, []string{"allow.subjects[0]"}},
	} {
		c := sound()
		tt.change(&c)
		var got []string
		c.Validate(func(key, _ string) { got = append(got, key) })
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if _, err := login.New(c, login.Options{}); (err == nil) != !slices.Contains(got, "url") {
			t.Errorf("%s: New: %v", tt.name, err)
		}
	}
}
