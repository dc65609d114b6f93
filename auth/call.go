package auth

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// apiPath begins the path of every call of the HTTP API.
const apiPath = "/api"

// VerifyCall checks the token of a back end's call of the HTTP API. The error is
// a *Refusal.
//
// The token stands in the header Authorization: Bearer {token}, is signed like a
// client's and has the claims exp, required, and nbf. Its aud is the URL of the
// call, with or without the query, percent-encoded or not, in any case; or the
// beginning of it up to a slash, from {endpoint}/api on, so that one token can be
// made for all calls of a hub: {endpoint}/api/hubs/{hub}. Scheme and host must
// be one of Config.Endpoints, if there are any: behind a proxy the node cannot
// see under which address it was called.
func (v *Verifier) VerifyCall(r *http.Request, now time.Time) error {
	if v.keyless {
		return Refuse(TokenAlgorithm, "there are no keys to check the tokens of calls with; the configuration keys are auth.keys and hub.hubs.NAME.keys")
	}
	p, refusal := v.calls.open(v, fromAuthorization(r.Header["Authorization"]))
	if refusal == nil {
		refusal = p.checkTimes(now, v.leeway)
	}
	if refusal == nil && !v.audience.admitsCall(p.Audience, r.URL) {
		refusal = Refuse(TokenAudience, "the token's claim aud is neither the URL of this call nor the beginning of it: {endpoint}"+apiPath+"/hubs/{hub}")
	}
	if refusal != nil {
		return refusal
	}
	return nil
}

// admitsCall reports whether one of the URLs is that of the call, or the
// beginning of it.
func (a audience) admitsCall(urls []string, call *url.URL) bool {
	for _, u := range urls {
		path, ok := a.path(u)
		if !ok {
			continue
		}
		if covers(path, call.EscapedPath()) {
			return true
		}
		// Some libraries write the URL decoded. Of a beginning that would not do:
		// groups/a is not above groups/a%2Fb.
		if decoded, err := url.PathUnescape(path); err == nil && covers(decoded, call.Path) && len(decoded) == len(call.Path) {
			return true
		}
	}
	return false
}

// covers reports whether a path of the API is the other one, or stands above it.
func covers(above, path string) bool {
	above = strings.TrimSuffix(above, "/")
	if len(above) < len(apiPath) || !strings.EqualFold(above[:len(apiPath)], apiPath) || len(path) < len(above) ||
		!strings.EqualFold(path[:len(above)], above) {
		return false
	}
	return len(path) == len(above) || path[len(above)] == '/'
}

// MintCall makes a token for calls of the HTTP API: for one URL, or for all below
// a path, such as https://chat.example.com/api/hubs/chat. Without Config.Endpoints
// the path alone does. It is signed with HS256.
func MintCall(key []byte, audience string, ttl time.Duration, now time.Time) (string, error) {
	if err := checkKey(key); err != nil {
		return "", err
	}
	return sign(key, map[string]any{"aud": audience, "iat": now.Unix(), "exp": now.Add(ttl).Unix()})
}
