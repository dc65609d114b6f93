package auth_test

import (
	"net/url"
	"strings"
	"testing"

	"sluice/auth"
)

func TestOrigins(t *testing.T) {
	cases := []struct {
		patterns     string // space between
		origin, host string
		want         bool
	}{
		{"", "", "h", true}, // not a browser
		{"https://a.com", "", "h", true},
		{"*", "https://any.thing:99", "h", true},
		{"*", "null", "h", true},

		{"", "http://h", "h", true},
		{"", "https://h", "h", true}, // TLS ends at a proxy
		{"", "http://h", "H:80", true},
		{"", "http://h:80", "h", true},
		{"", "HTTPS://h", "h:443", true},
		{"", "https://h", "h:80", false},
		{"", "http://h:8080", "h:8080", true},
		{"", "http://h:8080", "h", false},
		{"", "http://h:8080", "h:8081", false},
		{"", "http://[::1]:8080", "[::1]:8080", true},
		{"", "http://[::1]", "[::1]:80", true},
		{"", "http://other", "h", false},
		{"", "http://h.evil", "h", false},
		{"", "http://evil/h", "h", false},
		{"", "http://evil@h", "h", false},
		{"", "http://h", "", false},
		{"", "null", "h", false},
		{"", "h", "h", false},
		{"", "http://h http://evil", "h", false},

		{"https://a.com", "https://a.com", "h", true},
		{"https://a.com", "https://A.COM:443", "h", true},
		{"https://a.com:443", "https://a.com", "h", true},
		{"https://a.com", "http://a.com", "h", false},
		{"https://a.com", "https://a.com:8443", "h", false},
		{"https://a.com", "https://x.a.com", "h", false},
		{"https://a.com", "https://a.com.evil.com", "h", false},
		{"https://a.com", "https://h", "h", true}, // the same host always may
		{"https://a.com http://b:81", "http://b:81", "h", true},
		{"capacitor://localhost", "capacitor://localhost", "h", true},
		{"null", "null", "h", true},
		{"null", "http://h", "h", true},
		{"null", "http://i", "h", false},
		{"null https://a.com", "https://a.com", "h", true},

		{"https://*.a.com", "https://x.a.com", "h", true},
		{"https://*.a.com", "https://x.y.a.com", "h", true},
		{"https://*.a.com", "https://X.A.com:443", "h", true},
		{"https://*.a.com", "https://a.com", "h", false},
		{"https://*.a.com", "https://.a.com", "h", false},
		{"https://*.a.com", "https://evila.com", "h", false},
		{"https://*.a.com", "https://x.a.com.evil.com", "h", false},
		{"https://*.a.com", "https://evil.com/.a.com", "h", false},
		{"https://*.a.com", "https://evil.com#.a.com", "h", false},
		{"https://*.a.com", "http://x.a.com", "h", false},
		{"https://*.a.com:8443", "https://x.a.com:8443", "h", true},
		{"https://*.a.com:8443", "https://x.a.com", "h", false},
		{"https://*.a.com", "https://x\u212a.a.com", "h", false},
	}
	for _, c := range cases {
		t.Run(c.patterns+" "+c.origin, func(t *testing.T) {
			o, err := auth.ParseOrigins(strings.Fields(c.patterns))
			if err != nil {
				t.Fatal(err)
			}
			if got := o.Allow(c.origin, c.host); got != c.want {
				t.Errorf("Allow(%q, %q) = %v", c.origin, c.host, got)
			}
		})
	}
}

func TestParseOriginsNamesEveryBadPattern(t *testing.T) {
	bad := []string{
		"", "example.com", "https://", "https://*", "https://*.", "https://a*.com", "https://a.*.com", "*.example.com",
		"https://a.com/", "https://a.com/x", "https://a.com:", "https://a.com:0", "https://a.com:65536", "https://a.com:x",
		"https://[::1", "https://*.[::1]", "https://bücher.de", "://a.com", "1http://a.com", "ht tp://a.com", "https://u@a.com",
	}
	_, err := auth.ParseOrigins(append([]string{"https://good.com", "*", "null"}, bad...))
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != len(bad) {
		t.Errorf("%d problems for %d bad patterns:\n%v", len(lines), len(bad), err)
	}
}

func FuzzOrigins(f *testing.F) {
	for _, seed := range [][3]string{
		{"https://*.example.com", "https://a.example.com", "example.com"}, {"http://h:80", "http://h", "h:80"},
		{"*", "null", ""}, {"null", "null", "h"}, {"https://[::1]:8443", "https://[::1]:8443", "[::1]"},
		{"a://*.b", "a://.b", ":"}, {"https://", "https://:", "]"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, pattern, origin, host string) {
		same, _ := auth.ParseOrigins(nil)
		sameHost := same.Allow(origin, host)
		u, urlErr := url.Parse(origin)
		if origin != "" && sameHost && (urlErr != nil || !strings.EqualFold(u.Hostname(), strings.Trim(hostOnly(host), "[]"))) {
			t.Fatalf("origin %q counts as the host %q", origin, host)
		}
		o, err := auth.ParseOrigins([]string{pattern})
		if err != nil {
			return
		}
		allowed := o.Allow(origin, host)
		// What is allowed by a list of one, beside the same host, is the pattern
		// itself, or below it.
		if domain, ok := strings.CutPrefix(pattern, "*"); allowed && !sameHost && origin != "" && !(ok && domain == "") {
			scheme, rest, _ := strings.Cut(pattern, "://")
			rest = strings.TrimPrefix(rest, "*")
			if pattern != origin && !(urlErr == nil && strings.EqualFold(u.Scheme, scheme) &&
				strings.HasSuffix(strings.ToLower(u.Hostname()), strings.Trim(strings.ToLower(hostOnly(rest)), "[]"))) {
				t.Fatalf("pattern %q allows %q", pattern, origin)
			}
		}
		if !o.Allow("", host) {
			t.Fatal("a client without an origin is refused")
		}
	})
}

// hostOnly cuts a port off.
func hostOnly(s string) string {
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') {
		return s[:i]
	}
	return s
}
