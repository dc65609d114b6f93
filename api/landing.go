package api

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
)

// LandingConfig turns the pages for people and load balancers on the addresses for
// clients. The zero value of a field means its default.
type LandingConfig struct {
	// Enable answers GET / with a small page that says what this is, and GET
	// /health with 200, or 503 while no new clients should be sent here, as /readyz
	// of the operations listener does. Default: false, because each connection that
	// asks takes one of engine.max_http_connections until it is answered.
	Enable bool `yaml:"enable"`

	// DocsURL is the address of the documentation for those who write clients, a
	// link on the page. Default: none.
	DocsURL string `yaml:"docs_url"`
}

// Validate reports every problem with its key, relative to this struct.
func (c *LandingConfig) Validate(report func(key, problem string)) {
	if u, err := url.Parse(c.DocsURL); err != nil || c.DocsURL != "" && (u.Scheme != "https" && u.Scheme != "http" || u.Host == "") {
		report("docs_url", fmt.Sprintf("%q is not an address that begins with https:// or http://", c.DocsURL))
	}
}

// The paths of these pages.
const (
	pathLanding = "/"
	pathHealth  = "/health"
)

// ServesLanding tells whether a request is one for the handler that NewLanding
// makes. A handshake of a WebSocket is not. It may be called on an event loop.
func ServesLanding(r *http.Request) bool {
	return (r.URL.Path == pathLanding || r.URL.Path == pathHealth) &&
		(r.Method == http.MethodGet || r.Method == http.MethodHead) && r.Header["Upgrade"] == nil
}

// NewLanding returns the pages. ready tells whether new clients should be sent here,
// and if not why; any goroutine. They say nothing of the version, and nothing else
// that an attacker could use.
func NewLanding(c LandingConfig, ready func() (ok bool, why string)) http.Handler {
	page := c.page()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		harden(w.Header())
		if r.URL.Path == pathHealth {
			verdict(w, ready, "ready")
			return
		}
		write(w, http.StatusOK, "text/html; charset=utf-8", page)
	})
}

// harden sets the headers of pages that load nothing and are framed by nobody.
func harden(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Connection", "close") // there are few of these, see engine.max_http_connections
}

// page returns the text of the page.
func (c *LandingConfig) page() string {
	docs := "the pages of the project, docs/protocol.md"
	if c.DocsURL != "" {
		docs = `<a href="` + html.EscapeString(c.DocsURL) + `" rel="noreferrer">the documentation</a>`
	}
	return strings.ReplaceAll(landingPage, "DOCS", docs)
}

const landingPage = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Sluice</title></head>
<body>
<h1>Sluice</h1>
<p>This is a WebSocket gateway. There is nothing to see here.</p>
<p>Clients connect with a token at <code>/client/hubs/{hub}</code>; how is said in DOCS.</p>
</body>
</html>
`
