package login_test

import (
	"net/url"
	"strings"
	"testing"

	"sluice/api/login"
)

func TestLocalPath(t *testing.T) {
	for wanted, want := range map[string]string{
		"/":                            "/",
		"/slow-consumers?n=3&x=%2F":    "/slow-consumers?n=3&x=%2F",
		"/debug/pprof/heap?debug=1":    "/debug/pprof/heap?debug=1",
		"/a//b":                        "/a//b",
		"":                             "/",
		"//evil.test":                  "/",
		"/\\evil.test":                 "/",
		"https://evil.test/":           "/",
		"/oauth/logout":                "/",
		"/oauthorities":                "/oauthorities",
		"/\r\nSet-Cookie: a=b":         "/",
		"/ä":                           "/",
		"/#x":                          "/",
		"/" + strings.Repeat("a", 512): "/",
	} {
		if got := login.LocalPath(wanted); got != want {
			t.Errorf("%q: %q, want %q", wanted, got, want)
		}
	}
}

// FuzzLocalPath: whatever is asked for, what comes of it is on this site, also to
// a browser, which takes backslashes for slashes and drops control characters.
func FuzzLocalPath(f *testing.F) {
	for _, seed := range []string{"/", "//evil.test", `/\evil.test`, "/\t/evil.test", "@evil.test", "/a?b#c", "https:evil", "/..//evil.test", "/%2f/evil.test"} {
		f.Add(seed)
	}
	browsers := strings.NewReplacer(`\`, "/", "\t", "", "\n", "", "\r", "")
	f.Fuzz(func(t *testing.T, wanted string) {
		got := login.LocalPath(wanted)
		for _, seen := range []string{got, browsers.Replace(got)} {
			u, err := url.Parse("https://ops.test" + seen)
			if err != nil {
				continue // no browser gets there
			}
			if u.Scheme != "https" || u.Host != "ops.test" || u.User != nil {
				t.Errorf("%q leads to %s", wanted, u)
			}
			alone, err := url.Parse(seen)
			if err == nil && (alone.Host != "" || alone.Scheme != "" || !strings.HasPrefix(seen, "/")) {
				t.Errorf("%q by itself leads to %s", wanted, alone)
			}
		}
		if strings.ContainsAny(got, "\r\n") {
			t.Errorf("%q ends the header line", wanted)
		}
	})
}
