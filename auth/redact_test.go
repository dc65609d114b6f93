package auth_test

import (
	"net/http"
	"strings"
	"testing"

	"sluice/auth"
)

func TestRedact(t *testing.T) {
	cases := []struct{ in, want string }{
		{"", ""},
		{"/client/hubs/chat", "/client/hubs/chat"},
		{"/client/hubs/chat?", "/client/hubs/chat?"},
		{"/p?a=1&b=%zz&c", "/p?a=1&b=%zz&c"},
		{"/p?access_token=SECRET", "/p?access_token=[redacted]"},
		{"/p?access_token", "/p?access_token=[redacted]"},
		{"/p?a=1&access_token=SECRET&b=2", "/p?a=1&access_token=[redacted]&b=2"},
		{"/p?Access_Token=SE;CR?ET#X&b", "/p?Access_Token=[redacted]&b"},
		{"/p?access_token=SECRET&access_token=SECRET", "/p?access_token=[redacted]&access_token=[redacted]"},
		{"/p?awps_connection_id=1&awps_reconnection_token=SECRET", "/p?awps_connection_id=1&awps_reconnection_token=[redacted]"},
		{"/p?connection_id=1&reconnection_token=SECRET", "/p?connection_id=1&reconnection_token=[redacted]"},
		{"/p?ticket=eyJhbGciOiJIUzI1NiJ9.eyJTRUNSRVQ.SECRET&x", "/p?ticket=[redacted]&x"},
		{"/p/eyJhbGciOiJIUzI1NiJ9.eyJTRUNSRVQ.SECRET?x", "/p/[redacted]?x"},
		{"/p?x=eyJhbGciOiJIUzI1NiJ9%2EeyJTRUNSRVQ%2ESECRET", "/p?[redacted]"},
		{"/p/keyJobs.example?x=KeyJarsOfBaz", "/p/keyJobs.example?x=KeyJarsOfBaz"},
		{"/p?access%5ftoken=SECRET", "/p?[redacted]"},
		{"/p?%zz%61ccess_token=%zzSECRET&x", "/p?[redacted]&x"},
		{"/p?next=%2Fq%3Faccess_token%3DSECRET%26x", "/p?next=%2Fq%3Faccess_token=[redacted]"},
		{"/p?next=%2Fq%3Faccess%255Ftoken%3DSECRET", "/p?[redacted]"},
		{"/p?ticket=slt_SECRET&x=1", "/p?ticket=[redacted]&x=1"},
		{"/p?ticket=5", "/p?ticket=5"},
		{"/slt_SECRET?x=slt%255fSECRET", "/[redacted]?[redacted]"},
		{"/p;access_token=SECRET", "/p;access_token=[redacted]"},
		{"/p?a=b;access_token=SECRET", "/p?a=b;access_token=[redacted]"},
	}
	for _, c := range cases {
		if got := auth.Redact(c.in); got != c.want {
			t.Errorf("Redact(%q)\n got %q\nwant %q", c.in, got, c.want)
		}
	}
}

func TestRedactHeader(t *testing.T) {
	in := http.Header{
		"Authorization":          {"Bearer SECRET", "Basic SECRET"},
		"cookie":                 {"sid=SECRET; access_token=SECRET"},
		"Sec-Websocket-Protocol": {"json.sluice.v1, bearer.SECRET", "Bearer.SECRET,x bearer.SECRET", "ticket.slt_SECRET, slt_SECRET"},
		"Referer":                {"https://a.com/?access_token=SECRET&x=1"},
		"User-Agent":             {"test/1"},
	}
	before := in.Clone()
	out := auth.RedactHeader(in)
	for name, values := range out {
		if strings.Contains(strings.Join(values, ""), "SECRET") {
			t.Errorf("%s: %q", name, values)
		}
	}
	for name, want := range map[string]string{
		"Sec-Websocket-Protocol": "json.sluice.v1, bearer.[redacted]",
		"Referer":                "https://a.com/?access_token=[redacted]&x=1",
		"User-Agent":             "test/1",
	} {
		if out.Get(name) != want {
			t.Errorf("%s: got %q, want %q", name, out.Get(name), want)
		}
	}
	for name, values := range before {
		if strings.Join(values, "|") != strings.Join(in[name], "|") {
			t.Errorf("%s of the original has changed", name)
		}
	}
}

// FuzzRedact proves that no place from which FromRequest takes a token shows it
// in a log, whatever stands around it.
func FuzzRedact(f *testing.F) {
	f.Add("a=b&access_token=", "&c=d", "json.sluice.v1, bearer.", ", x")
	f.Add("%61ccess%5Ftoken=%zz", "%", "bearer.", "")
	f.Add("a=%&access_token=?", ";x", " bearer.", ";y")
	f.Add("?access_token=", "#", "bEarer.", "=")
	const secret = "eyJhbGciOiJIUzI1NiJ9-SECRET"
	f.Fuzz(func(t *testing.T, before, after, protocolsBefore, protocolsAfter string) {
		query, protocols := before+secret+after, protocolsBefore+secret+protocolsAfter
		if strings.Count(query, secret) == 1 {
			token, _, _ := auth.FromRequest(nil, query, "")
			// An error for the parameter alone: it is the token, badly escaped.
			_, _, err := auth.FromRequest(nil, before[strings.LastIndexByte(before, '&')+1:]+secret, "")
			uri := auth.Redact("/client/hubs/chat?" + query)
			if (strings.Contains(token, secret) || err != nil) && strings.Contains(uri, secret) {
				t.Fatalf("%q shows the token: %q", query, uri)
			}
			referer := auth.RedactHeader(http.Header{"Referer": {"https://a.com/?" + query}}).Get("Referer")
			if strings.Contains(token, secret) && strings.Contains(referer, secret) {
				t.Fatalf("%q in a header shows the token: %q", query, referer)
			}
		}
		in := http.Header{
			"Authorization":          {before + secret + after},
			"Cookie":                 {before + secret + after},
			"Sec-Websocket-Protocol": {protocols},
		}
		out := auth.RedactHeader(in)
		for _, name := range []string{"Authorization", "Cookie"} {
			if strings.Contains(out.Get(name), secret) {
				t.Fatalf("%s shows the token", name)
			}
		}
		_, source, _ := auth.FromRequest(http.Header{"Sec-Websocket-Protocol": {protocolsBefore + secret}}, "", "")
		fromEntry := source == auth.SourceSubprotocol && strings.Count(protocols, secret) == 1 &&
			strings.HasSuffix(protocolsBefore, "bearer.")
		if got := out.Get("Sec-Websocket-Protocol"); fromEntry && strings.Contains(got, secret) {
			t.Fatalf("%q shows the token: %q", protocols, got)
		}
	})
}
