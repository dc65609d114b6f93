package gateway

import (
	"net/http"
	"net/url"
	"testing"

	"sluice/auth"
	"sluice/hub"
)

func TestParseMode(t *testing.T) {
	group := func(name string, noEcho bool) *hub.Pipe { return &hub.Pipe{Group: name, NoEcho: noEcho} }
	for _, tt := range []struct {
		query  string
		compat bool
		want   *hub.Pipe
		bad    bool
	}{
		{"", true, nil, false},
		{"access_token=x&group=g", true, nil, false},
		{"mode=", true, nil, false},
		{"mode=sendEvent", false, nil, false},
		{"mode=SENDEVENT&group=g", false, nil, false},
		{"mode=sendToGroup&group=g", false, group("g", false), false},
		{"mode=sendtogroup&group=a%20b&noEcho=TRUE", false, group("a b", true), false},
		{"mode=sendToGroup&group=g&noEcho=False", false, group("g", false), false},
		{"mode=x&mode=sendToGroup&group=a&group=b", false, group("b", false), false},
		{"mode=sendToGroup", false, nil, true},
		{"mode=sendToGroup&group=%20", false, nil, true},
		{"mode=sendToGroup&group=%ff", false, nil, true},
		{"mode=sendToGroup&group=g&noEcho=yes", false, nil, true},
		{"mode=shout", false, nil, true},
		{"mode=%zz", false, nil, true},
		{"webpubsub_mode=sendToGroup&group=g", true, group("g", false), false},
		{"webpubsub_mode=shout", true, nil, true},
		{"webpubsub_mode=sendToGroup&group=g", false, nil, false},
		{"webpubsub_mode=shout", false, nil, false},
		{"webpubsub_mode=shout&mode=sendEvent", true, nil, false},
	} {
		pipe, refusal := parseMode(&url.URL{RawQuery: tt.query}, tt.compat)
		if (refusal != nil) != tt.bad || tt.bad && refusal.Status != http.StatusBadRequest {
			t.Errorf("%s: refusal %v", tt.query, refusal)
		}
		if (pipe != nil) != (tt.want != nil) || pipe != nil && *pipe != *tt.want {
			t.Errorf("%s: %v, want %v", tt.query, pipe, tt.want)
		}
	}
}

// FuzzParseMode: whatever a client writes is refused or names a group that can be.
func FuzzParseMode(f *testing.F) {
	f.Add("mode=sendToGroup&group=a%20b&noEcho=true")
	f.Add("webpubsub_mode=sendToGroup&group=%ff")
	f.Add("mode=%zz;a=b&&=")
	f.Fuzz(func(t *testing.T, query string) {
		pipe, refusal := parseMode(&url.URL{RawQuery: query}, true)
		if pipe != nil && (refusal != nil || !auth.ValidGroup(pipe.Group)) {
			t.Errorf("%q: %+v, %v", query, pipe, refusal)
		}
	})
}
