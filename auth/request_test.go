package auth_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"sluice/auth"
)

func TestFromRequest(t *testing.T) {
	const (
		authorization = "Authorization"
		cookie        = "Cookie"
		subprotocols  = "Sec-Websocket-Protocol"
	)
	cases := []struct {
		name   string
		header http.Header
		query  string
		cookie string // name
		token  string
		source auth.Source
		reason auth.Reason
	}{
		{"nothing", nil, "", "", "", auth.SourceNone, ""},
		{"header", http.Header{authorization: {"Bearer t"}}, "", "", "t", auth.SourceHeader, ""},
		{"header, scheme in any case", http.Header{authorization: {"bEARER  t "}}, "", "", "t", auth.SourceHeader, ""},
		{"other scheme", http.Header{authorization: {"Basic dDp0"}}, "", "", "", auth.SourceNone, ""},
		{"second header", http.Header{authorization: {"Basic dDp0", "Bearer t"}}, "", "", "t", auth.SourceHeader, ""},
		{"empty header", http.Header{authorization: {"Bearer "}}, "access_token=q", "", "q", auth.SourceQuery, ""},
		{"cookie", http.Header{cookie: {"a=b; access_token=t; c=d"}}, "", "", "t", auth.SourceCookie, ""},
		{"quoted cookie", http.Header{cookie: {`access_token="t"`}}, "", "", "t", auth.SourceCookie, ""},
		{"second cookie line", http.Header{cookie: {"a=b", "access_token=t"}}, "", "", "t", auth.SourceCookie, ""},
		{"deleted cookie", http.Header{cookie: {"access_token="}}, "", "", "", auth.SourceNone, ""},
		{"cookie of another name", http.Header{cookie: {"access_token=x; sid=t"}}, "", "sid", "t", auth.SourceCookie, ""},
		{"cookie, case of the name", http.Header{cookie: {"Access_Token=x"}}, "", "", "", auth.SourceNone, ""},
		{"cookies off", http.Header{cookie: {"access_token=x; -=y"}}, "", auth.NoCookie, "", auth.SourceNone, ""},
		{"subprotocol", http.Header{subprotocols: {"json.sluice.v1, bearer.dA"}}, "", "", "t", auth.SourceSubprotocol, ""},
		{"subprotocol, second line", http.Header{subprotocols: {"json.sluice.v1", "bearer.dA"}}, "", "", "t", auth.SourceSubprotocol, ""},
		{"subprotocol, padded", http.Header{subprotocols: {"bearer.dA=="}}, "", "", "", auth.SourceSubprotocol, auth.TokenMalformed},
		{"subprotocol, the bare token", http.Header{subprotocols: {"bearer.a.b.c"}}, "access_token=q", "", "", auth.SourceSubprotocol, auth.TokenMalformed},
		{"subprotocol, stray bits", http.Header{subprotocols: {"bearer.dB"}}, "", "", "", auth.SourceSubprotocol, auth.TokenMalformed},
		{"subprotocol, line end", http.Header{subprotocols: {"bearer.d\rA"}}, "", "", "", auth.SourceSubprotocol, auth.TokenMalformed},
		{"subprotocol, empty", http.Header{subprotocols: {"bearer."}}, "", "", "", auth.SourceNone, ""},
		{"query", nil, "a=b&access_token=t&c=d", "", "t", auth.SourceQuery, ""},
		{"query, escaped", nil, "access%5Ftoken=a%2Eb%2Ec", "", "a.b.c", auth.SourceQuery, ""},
		{"query, twice", nil, "access_token=&access_token=t&access_token=u", "", "t", auth.SourceQuery, ""},
		{"query, bad escape", nil, "access_token=%zz", "", "", auth.SourceQuery, auth.TokenMalformed},
		{"query, other name", nil, "xaccess_token=t", "", "", auth.SourceNone, ""},
		{"ticket in the query", nil, "a=b&ticket=slt_ABC&access_token=q", "", "slt_ABC", auth.SourceTicket, ""},
		{"ticket among the subprotocols", http.Header{subprotocols: {"json.sluice.v1, ticket.slt_ABC"}}, "ticket=slt_q", "", "slt_ABC", auth.SourceTicket, ""},
		{"a ticket of the application's own", nil, "ticket=123&access_token=q", "", "q", auth.SourceQuery, ""},
		{"cookie before ticket", http.Header{cookie: {"access_token=c"}}, "ticket=slt_ABC", "", "c", auth.SourceCookie, ""},
		{"the first place wins", http.Header{authorization: {"Bearer h"}, cookie: {"access_token=c"}, subprotocols: {"bearer.!"}},
			"access_token=%zz", "", "h", auth.SourceHeader, ""},
		{"cookie before subprotocol", http.Header{cookie: {"access_token=c"}, subprotocols: {"bearer.dA"}}, "access_token=q", "", "c", auth.SourceCookie, ""},
		{"subprotocol before query", http.Header{subprotocols: {"bearer.dA"}}, "access_token=q", "", "t", auth.SourceSubprotocol, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			token, source, err := auth.FromRequest(c.header, c.query, c.cookie)
			if got := reasonOf(t, err); token != c.token || source != c.source || got != c.reason {
				t.Errorf("got %q from %v (%v), want %q from %v (%q)", token, source, err, c.token, c.source, c.reason)
			}
		})
	}
}

func FuzzFromRequest(f *testing.F) {
	f.Add("Bearer abc.def.ghi", "a=b; access_token=t", "json.sluice.v1, bearer.dA", "a=b&access_token=t", "access_token")
	f.Add("bearer", `access_token="`, "bearer.!,", "access_token=%", "")
	f.Add("", ";;=;", ",,", "&&=&%61ccess_token=%zz", "-")
	f.Fuzz(func(t *testing.T, authorization, cookies, subprotocols, query, cookie string) {
		h := http.Header{"Authorization": {authorization}, "Cookie": {cookies}, "Sec-Websocket-Protocol": {subprotocols}}
		token, source, err := auth.FromRequest(h, query, cookie)
		if err != nil {
			reasonOf(t, err)
			if token != "" {
				t.Fatalf("a token comes with the error: %q", token)
			}
			return
		}
		if (token == "") != (source == auth.SourceNone) {
			t.Fatalf("token %q from %v", token, source)
		}
		if source == auth.SourceSubprotocol {
			entry := "bearer." + base64.RawURLEncoding.EncodeToString([]byte(token))
			if !strings.Contains(subprotocols, entry) {
				t.Fatalf("token %q is not in %q", token, subprotocols)
			}
		}
	})
}
