package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sluice/hub"
)

// bigPlane is plane with room for bodies of many messages.
func bigPlane(t *testing.T, f *fakeHub, maxBody int64) http.Handler {
	t.Helper()
	d := dataOf(f)
	d.MaxBody = maxBody
	return checked(t, NewData(d))
}

func TestSendMany(t *testing.T) {
	for _, tt := range []struct {
		name, body, want string // want: what the hub is asked
		status           []int
	}{
		{"every target", `{"messages":[{"all":true,"data":{"a": 1.0}},{"group":"g","dataType":"text","data":"é"},
			{"user":"u","dataType":"binary","data":"AP8="},{"connection":"c9","data":null}]}`,
			`send all json "{\"a\": 1.0}"; send group "g" text "é"; send user "u" binary "\x00\xff"; send connection "c9" json "null"`,
			[]int{202, 202, 202, 202}},
		{"shared data", `{"data":"x","dataType":"text","messages":[{"group":"a"},{"group":"b","data":1},{"group":""}]}`,
			`send group "a" text "x"; send group "b" json "1"; send group "" text "x"`, []int{202, 202, 202}},
		{"options", `{"data":1,"messages":[{"group":"g","ttlSeconds":60,"conflationKey":"k","excluded":["a"],"filter":"'vip' in groups"}]}`,
			`send group "g" json "1" ttl 1m0s key k but [a] if true`, []int{202}},
		{"one is wrong", `{"data":1,"messages":[{"group":"g"},{},{"all":true,"user":"u"},{"group":"g","filter":"userId"},{"group":"g","ttlSeconds":301},
			{"group":"g","dataType":"text"},{"group":"g","dataType":"text","data":null},{"group":"g","dataType":"binary","data":"?"},
			{"group":"g","dataType":"xml","data":1},{"connection":"c","excluded":["c"]},{"group":"g","conflationKey":"` + strings.Repeat("k", 257) + `"},{"user":"u"}]}`,
			`send group "g" json "1"; send user "u" json "1"`, []int{202, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 202}},
		{"no data", `{"messages":[{"group":"g"}]}`, "", []int{400}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &fakeHub{}
			w := ask(bigPlane(t, f, 4096), "POST", "/api/hubs/chat/:sendMany", "application/json", tt.body)
			got := manyResults(t, w)
			if fmt.Sprint(got) != fmt.Sprint(tt.status) {
				t.Errorf("got %v, want %v: %s", got, tt.status, w.Body)
			}
			if log := strings.Join(f.log, "; "); log != tt.want {
				t.Errorf("got  %s\nwant %s", log, tt.want)
			}
		})
	}
}

// manyResults reads the status of each item, and checks that the sum is right.
func manyResults(t *testing.T, w *httptest.ResponseRecorder) (status []int) {
	t.Helper()
	var answer struct {
		Accepted int
		Results  []struct {
			Status int
			Error  *struct{ Code, Message string }
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != 200 {
		t.Fatalf("status %d, %v: %s", w.Code, err, w.Body)
	}
	accepted := 0
	for _, r := range answer.Results {
		status = append(status, r.Status)
		if r.Status == 202 {
			accepted++
		}
		if (r.Status == 202) != (r.Error == nil) || r.Error != nil && (r.Error.Code == "" || r.Error.Message == "") {
			t.Errorf("status %d with %+v", r.Status, r.Error)
		}
	}
	if answer.Accepted != accepted {
		t.Errorf("accepted %d of %v", answer.Accepted, status)
	}
	return status
}

// TestSendManyRefused: what is wrong with the whole body, so that nothing is sent.
func TestSendManyRefused(t *testing.T) {
	many := func(n int) string {
		return `{"data":1,"messages":[` + strings.TrimSuffix(strings.Repeat(`{"group":"g"},`, n), ",") + `]}`
	}
	for _, tt := range []struct {
		name, body string
		status     int
	}{
		{"none", many(0), 400},
		{"too many", many(maxMany + 1), 400},
		{"too large", many(maxMany * 4), 413},
		{"no JSON", `{`, 400},
		{"a list", `[]`, 400},
		{"two", many(1) + many(1), 400},
		{"misspelt", `{"messages":[{"group":"g","data":1,"exclude":["a"]}]}`, 400},
		{"not UTF-8", "{\"messages\":[{\"group\":\"g\",\"data\":\"\xff\"}]}", 400},
		{"shared data", `{"data":1,"dataType":"text","messages":[{"group":"g","data":1}]}`, 400},
		{"shared type alone", `{"dataType":"text","messages":[{"group":"g","data":1}]}`, 400},
	} {
		f := &fakeHub{}
		w := ask(bigPlane(t, f, 40_000), "POST", "/api/hubs/chat/:sendMany", "application/json", tt.body)
		if w.Code != tt.status || len(f.log) > 0 {
			t.Errorf("%s: status %d, %q: %s", tt.name, w.Code, f.log, w.Body)
		}
	}
}

// TestSendManyBounded: small in the request, shared data is not without limit.
func TestSendManyBounded(t *testing.T) {
	f := &fakeHub{}
	body := `{"data":"` + strings.Repeat("x", 500) + `","messages":[` + strings.TrimSuffix(strings.Repeat(`{"group":"g"},`, 35), ",") + `]}`
	got := manyResults(t, ask(bigPlane(t, f, 1024), "POST", "/api/hubs/chat/:sendMany", "application/json", body))
	want := maxManyBodies * 1024 / 502
	if len(f.log) != want || got[want-1] != 202 || got[want] != 413 {
		t.Errorf("%d sent: %v", len(f.log), got)
	}
}

// TestSendManyOnce: a call that is repeated under its key sends what is missing.
func TestSendManyOnce(t *testing.T) {
	f := &fakeHub{}
	h := bigPlane(t, f, 4096)
	send := func(body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "/api/hubs/chat/:sendMany", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer x")
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set(idempotencyHeader, "k")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	const body = `{"data":1,"messages":[{"group":"a"},{"group":"b"}]}`
	f.err = hub.ErrRateLimited
	w := send(body)
	if got := manyResults(t, w); fmt.Sprint(got) != "[429 429]" || w.Header().Get("Retry-After") == "" {
		t.Fatalf("got %v, %v", got, w.Header())
	}
	f.err, f.log = nil, nil
	for range 2 {
		if got := manyResults(t, send(body)); fmt.Sprint(got) != "[202 202]" {
			t.Errorf("got %v", got)
		}
	}
	if len(f.log) != 2 {
		t.Errorf("sent %q", f.log)
	}
	if got := manyResults(t, send(`{"data":2,"messages":[{"group":"a"}]}`)); fmt.Sprint(got) != "[422]" {
		t.Errorf("another request: %v", got)
	}
}

// FuzzSendMany: whatever the body is, each message has its answer, and no more is
// sent than was accepted.
func FuzzSendMany(f *testing.F) {
	f.Add(`{"data":1,"messages":[{"group":"g"},{"all":true,"dataType":"text","data":"x"}]}`)
	f.Add(`{"messages":[{"user":"u","dataType":"binary","data":"AP8=","filter":"userId eq 'u'","excluded":["a"],"ttlSeconds":1}]}`)
	f.Add(`{"messages":[{"connection":null,"data":null},{}]}`)
	f.Add(`{"MESSAGES":[{"Group":"g","data":1}],"data":{}}`)
	f.Fuzz(func(t *testing.T, body string) {
		fake := &fakeHub{}
		d := dataOf(fake)
		d.MaxBody = 1 << 20
		w := ask(NewData(d), "POST", "/api/hubs/chat/:sendMany", "application/json", body)
		if w.Code != 200 {
			if len(fake.log) > 0 {
				t.Errorf("status %d, and sent %q", w.Code, fake.log)
			}
			return
		}
		accepted := 0
		for _, status := range manyResults(t, w) {
			if status == 202 {
				accepted++
			}
		}
		if accepted != len(fake.log) {
			t.Errorf("%d accepted, sent %q", accepted, fake.log)
		}
	})
}
