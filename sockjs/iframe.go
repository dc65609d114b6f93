package sockjs

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
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
	io.WriteString(w, page)
}

// The page, to the letter of the protocol.
const (
	iframeHead = `<!DOCTYPE html>
<html>
<head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
  <script src="`
	iframeTail = `"></script>
  <script>
    document.domain = document.domain;
    SockJS.bootstrap_iframe();
  </script>
</head>
<body>
  <h2>Don't panic!</h2>
  <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>
</body>
</html>`
)
