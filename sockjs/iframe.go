package sockjs

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"sluice/internal/cors"
)

// iframePath matches the names of the page, which hold a version to get past
// caches.
var iframePath = regexp.MustCompile(`^iframe[0-9-.a-z_]*\.html$`)

// serveIframe serves the page that lets clients of another origin in where their
// browser does not.
func (s *Server) serveIframe(w http.ResponseWriter, r *http.Request) {
	page := iframeHead + s.cfg.ClientURL + iframeTail
	sum := sha256.Sum256([]byte(page))
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
	h := w.Header()
	h.Set("Cache-Control", cors.CacheYear)
	h.Set("Expires", time.Now().Add(cors.Year).UTC().Format(http.TimeFormat))
	h.Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", typeHTML)
	h.Set("Content-Security-Policy", iframePolicy(s.cfg.ClientURL))
	io.WriteString(w, page)
}

// iframePolicy returns the Content-Security-Policy of the page: it runs its own
// script and the one at clientURL, and talks to this node. Pages of any origin may
// frame it, because that is what it is for; AllowOrigin judges what they ask.
func iframePolicy(clientURL string) string {
	from := "'self'"
	if u, err := url.Parse(clientURL); err == nil && u.Host != "" {
		if from = u.Host; u.Scheme != "" {
			from = u.Scheme + "://" + u.Host
		}
	}
	sum := sha256.Sum256([]byte(iframeScript))
	return "default-src 'none'; connect-src 'self'; frame-src 'self'; script-src " + from +
		" 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// The page, to the letter of the protocol.
const (
	iframeHead = `<!DOCTYPE html>
<html>
<head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
  <script src="`
	iframeScript = `
    document.domain = document.domain;
    SockJS.bootstrap_iframe();
  `
	iframeTail = `"></script>
  <script>` + iframeScript + `</script>
</head>
<body>
  <h2>Don't panic!</h2>
  <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>
</body>
</html>`
)
