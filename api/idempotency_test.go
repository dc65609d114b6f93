package api

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sluice/hub"
)

func TestIdempotencyKey(t *testing.T) {
	f := &fakeHub{}
	h := plane(t, f)
	send := func(key, target, body string) int {
		r := httptest.NewRequest("POST", target, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer x")
		r.Header.Set("Content-Type", "text/plain")
		r.Header.Set(idempotencyHeader, key)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	const all, group = "/api/hubs/chat/:send", "/api/hubs/chat/groups/g/:send"
	for i, tt := range []struct {
		key, target, body string
		err               error
		status, sends     int
	}{
		{"1", all, "a", nil, 202, 1},
		{"1", all, "a", nil, 202, 1}, // again
		{"2", all, "a", nil, 202, 2}, // another key
		{"1", all, "b", nil, 422, 2},
		{"1", group, "a", nil, 422, 2},
		{"1", all + "?excluded=c", "a", nil, 422, 2},
		{"", all, "a", nil, 202, 3},
		{"", all, "a", nil, 202, 4},
		{"3", all, "a", hub.ErrOverloaded, 503, 5},
		{"3", all, "a", nil, 202, 6}, // it had failed
		{strings.Repeat("k", 256), all, "a", nil, 400, 6},
	} {
		f.err = tt.err
		if got := send(tt.key, tt.target, tt.body); got != tt.status || len(f.log) != tt.sends {
			t.Fatalf("call %d: status %d after %d sends, want %d after %d", i, got, len(f.log), tt.status, tt.sends)
		}
	}
}

func TestIdempotencyUnderWay(t *testing.T) {
	i := newIdempotency()
	key, request := print("chat", "1"), print("x")
	if proceed, p := i.begin(key, request); !proceed || p != nil {
		t.Fatal("refused")
	}
	if proceed, p := i.begin(key, request); proceed || p == nil || p.status != 409 {
		t.Errorf("got %v %v while the first is under way", proceed, p)
	}
	i.finish(key)
	if proceed, p := i.begin(key, request); proceed || p != nil {
		t.Errorf("got %v %v when it is done", proceed, p)
	}
}

func TestIdempotencyIsBounded(t *testing.T) {
	now := time.Unix(1000, 0)
	i := newIdempotency()
	i.now = func() time.Time { return now }
	for n := range maxIdempotencyKeys + 100 {
		i.begin(print(fmt.Sprint(n)), print("x"))
		i.cancel(print(fmt.Sprint(n - 50))) // some have failed
	}
	if len(i.order) > maxIdempotencyKeys || len(i.sends) > maxIdempotencyKeys {
		t.Errorf("%d are remembered", len(i.sends))
	}
	now = now.Add(idempotencyAge + time.Second)
	i.begin(print("new"), print("x"))
	if len(i.order) != 1 || len(i.sends) != 1 {
		t.Errorf("%d and %d are remembered after their time", len(i.order), len(i.sends))
	}
}

func TestPrint(t *testing.T) {
	if print("a", "bc") == print("ab", "c") {
		t.Error("two lists run together")
	}
}
