package gateway

import (
	"crypto/x509"
	"net/http"
)

// certificate returns the certificate that the client has shown and that was
// verified, nil for none.
func certificate(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return nil
	}
	return r.TLS.VerifiedChains[0][0]
}
