package api

import (
	"strings"
	"testing"
)

// TestOverloaded: while the node is overloaded nothing is published, whatever the
// operation, and everything else is done.
func TestOverloaded(t *testing.T) {
	f := &fakeHub{}
	d := dataOf(f)
	overloaded := true
	d.Overloaded = func() bool { return overloaded }
	h := checked(t, NewData(d))
	for _, path := range []string{":send", "users/alice/:send", "groups/vip/:send", "connections/c1/:send"} {
		w := ask(h, "POST", "/api/hubs/chat/"+path, "text/plain", "x")
		if w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), `"code":"Error.ServiceUnavailable"`) {
			t.Errorf("%s: %d %v %s", path, w.Code, w.Header(), w.Body)
		}
	}
	many := `{"messages":[{"all":true,"data":1}]}`
	if w := ask(h, "POST", "/api/hubs/chat/:sendMany", "application/json", many); w.Code != 503 {
		t.Errorf("send many: %d %s", w.Code, w.Body)
	}
	if len(f.log) > 0 {
		t.Errorf("done all the same: %q", f.log)
	}
	if w := ask(h, "DELETE", "/api/hubs/chat/connections/c1", "", ""); w.Code != 204 {
		t.Errorf("close a connection: %d %s", w.Code, w.Body)
	}
	overloaded = false
	if w := ask(h, "POST", "/api/hubs/chat/:sendMany", "application/json", many); w.Code != 200 {
		t.Errorf("afterwards: %d %s", w.Code, w.Body)
	}
}
