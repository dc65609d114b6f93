package auth

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

// Source is the place in a request where a token was found.
type Source uint8

const (
	SourceNone Source = iota
	SourceHeader
	SourceCookie
	SourceSubprotocol
	SourceQuery
	SourceTicket
)

// String returns a short label for metrics and logs.
func (s Source) String() string {
	return [...]string{"none", "header", "cookie", "subprotocol", "query", "ticket"}[s]
}

const (
	queryToken   = "access_token"
	bearerPrefix = "bearer." // of an entry in the list of subprotocols

	queryTicket   = "ticket"
	offeredTicket = "ticket." // before a ticket in the list of subprotocols
)

// FromRequest finds the token of a handshake. It looks at these places and
// takes the first that holds one, whatever the others hold:
//
//  1. the header Authorization: Bearer {token}
//  2. the cookie of that name; "" means [DefaultCookie], [NoCookie] none
//  3. the entry bearer.{base64url of the token, without padding} in
//     Sec-WebSocket-Protocol, for browsers, which let scripts set no header.
//     The answer must never name that entry as the chosen subprotocol; browsers
//     fail a connection whose answer names none, so they must offer a real one
//     beside it
//  4. a ticket: the entry ticket.{ticket} in Sec-WebSocket-Protocol, or the query
//     parameter ticket; where that holds something else it is the application's
//  5. the query parameter access_token, last because URLs end up in logs
//
// A request without a token is no error: then token is empty and source is
// SourceNone. The error, a *Refusal, is for a place that holds something that
// cannot be decoded. h must have canonical keys.
func FromRequest(h http.Header, rawQuery, cookie string) (token string, source Source, err error) {
	if t := fromAuthorization(h["Authorization"]); t != "" {
		return t, SourceHeader, nil
	}
	if t := fromCookies(h["Cookie"], cookie); t != "" {
		return t, SourceCookie, nil
	}
	if encoded := fromSubprotocols(h["Sec-Websocket-Protocol"], bearerPrefix); encoded != "" {
		t, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
		if err != nil || strings.ContainsAny(encoded, "\r\n") { // which the decoder would skip
			return "", SourceSubprotocol, Refuse(TokenMalformed,
				"what follows bearer. in Sec-WebSocket-Protocol must be the token in base64url without padding")
		}
		return string(t), SourceSubprotocol, nil
	}
	if t := ticketFrom(h["Sec-Websocket-Protocol"], rawQuery); t != "" {
		return t, SourceTicket, nil
	}
	if escaped := fromQuery(rawQuery, queryToken); escaped != "" {
		t, err := url.QueryUnescape(escaped)
		if err != nil {
			return "", SourceQuery, Refuse(TokenMalformed, "the query parameter access_token has a bad % escape")
		}
		return t, SourceQuery, nil
	}
	return "", SourceNone, nil
}

func fromAuthorization(values []string) string {
	const scheme = "Bearer "
	for _, v := range values {
		if len(v) > len(scheme) && strings.EqualFold(v[:len(scheme)], scheme) {
			return strings.TrimSpace(v[len(scheme):])
		}
	}
	return ""
}

func fromCookies(lines []string, name string) string {
	switch name {
	case NoCookie:
		return ""
	case "":
		name = DefaultCookie
	}
	for _, line := range lines {
		for pair := range strings.SplitSeq(line, ";") {
			key, value, _ := strings.Cut(pair, "=")
			if strings.TrimSpace(key) != name {
				continue
			}
			if value = strings.Trim(value, ` "`); value != "" {
				return value
			}
		}
	}
	return ""
}

// ticketFrom needs no escapes: a ticket is of letters, digits and _.
func ticketFrom(subprotocols []string, rawQuery string) string {
	for _, t := range []string{fromSubprotocols(subprotocols, offeredTicket), fromQuery(rawQuery, queryTicket)} {
		if strings.HasPrefix(t, ticketPrefix) {
			return t
		}
	}
	return ""
}

// fromSubprotocols returns what follows the prefix in the first entry that has it.
func fromSubprotocols(lists []string, prefix string) string {
	for _, list := range lists {
		for entry := range strings.SplitSeq(list, ",") {
			if encoded, ok := strings.CutPrefix(strings.TrimSpace(entry), prefix); ok && encoded != "" {
				return encoded
			}
		}
	}
	return ""
}

// fromQuery returns the first value of a parameter that is not empty, as it
// stands there.
func fromQuery(raw, name string) string {
	for pair := range strings.SplitSeq(raw, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if value == "" {
			continue
		}
		if k, err := url.QueryUnescape(key); err == nil && k == name {
			return value
		}
	}
	return ""
}
