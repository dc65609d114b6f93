package auth

import (
	"net/http"
	"regexp"
	"strings"
)

// secretParameters are the query parameters that let their bearer in, in lower
// case: the token, and what clients send to resume a connection, also under the name
// that published ones have for it, which ends in the same.
var secretParameters = []string{queryToken, "reconnection_token"}

// tokenLike matches what looks like a JWT, which somebody may have put in a wrong
// place: an object in base64, a dot, and more.
var tokenLike = regexp.MustCompile(`eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]`)

// Redact returns a request URI (or any URL) for a log, without the tokens in
// its query, and without tickets and what looks like a token anywhere. It would rather cut too much than too
// little: from the name of a secret parameter, in any case and wherever it stands,
// to the next ampersand.
func Redact(requestURI string) string {
	path, query, ok := strings.Cut(requestURI, "?")
	path = redactPair(path)
	if !ok {
		return path
	}
	pairs := strings.Split(query, "&")
	for i, p := range pairs {
		pairs[i] = redactPair(p)
	}
	return path + "?" + strings.Join(pairs, "&")
}

// RedactHeader returns a copy of a request's header for a log: without
// Authorization and cookies, without tokens and tickets among the subprotocols, and
// with every other value through [Redact], because headers such as Referer
// repeat URLs.
func RedactHeader(h http.Header) http.Header {
	clean := make(http.Header, len(h))
	for name, values := range h {
		out := make([]string, len(values))
		for i, v := range values {
			out[i] = redactValue(name, v)
		}
		clean[name] = out
	}
	return clean
}

func redactValue(name, value string) string {
	switch http.CanonicalHeaderKey(name) {
	case "Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie":
		return redacted
	case "Sec-Websocket-Protocol":
		entries := strings.Split(value, ",")
		for i, e := range entries {
			if at := indexFold(e, bearerPrefix); at >= 0 {
				entries[i] = e[:at+len(bearerPrefix)] + redacted
			} else if at := indexFold(e, ticketPrefix); at >= 0 {
				entries[i] = e[:at] + redacted
			}
		}
		return strings.Join(entries, ",")
	}
	return Redact(value)
}

// redactPair cuts a query parameter off after the name of a secret one. A name
// with escapes, of this or of a URL inside the parameter, is looked for up to
// three levels deep; then nothing of the parameter is left.
func redactPair(pair string) string {
	for _, secret := range secretParameters {
		if at := indexFold(pair, secret); at >= 0 {
			return pair[:at+len(secret)] + "=" + redacted
		}
	}
	if at := indexFold(pair, ticketPrefix); at >= 0 {
		return pair[:at] + redacted
	}
	if at := tokenLike.FindStringIndex(pair); at != nil {
		return pair[:at[0]] + redacted
	}
	inner := pair
	for range 3 {
		if inner = unescapeAll(inner); inner == "" {
			break
		}
		for _, secret := range secretParameters {
			if indexFold(inner, secret) >= 0 {
				return redacted
			}
		}
		if indexFold(inner, ticketPrefix) >= 0 || tokenLike.MatchString(inner) {
			return redacted
		}
	}
	return pair
}

// unescapeAll resolves percent escapes, and keeps what is not one:
// url.QueryUnescape gives up at the first bad escape, behind which a token could
// hide. It returns "" if there are none.
func unescapeAll(s string) string {
	if !strings.Contains(s, "%") {
		return ""
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			high, ok1 := unhex(s[i+1])
			low, ok2 := unhex(s[i+2])
			if ok1 && ok2 {
				out = append(out, high<<4|low)
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

func unhex(c byte) (byte, bool) {
	switch {
	case isDigit(c):
		return c - '0', true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return (c | 0x20) - 'a' + 10, true
	}
	return 0, false
}

// indexFold is strings.Index that ignores the case of ASCII letters.
func indexFold(s, lower string) int {
	for i := 0; i+len(lower) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(lower)], lower) {
			return i
		}
	}
	return -1
}
