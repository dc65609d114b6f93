package gateway

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
)

func TestRoute(t *testing.T) {
	for _, tt := range []struct {
		address string
		hub     string
		status  int // of the refusal; 0 for none
	}{
		{"/client/hubs/chat", "chat", 0},
		{"/client/hubs/Chat.v2", "Chat.v2", 0},
		{"/client/hubs/a%5Bb%5D", "a[b]", 0},
		{"/client/?hub=chat", "chat", 0},
		{"/client?hub=chat&x=1", "chat", 0},
		{"/client/hubs/", "", http.StatusBadRequest},
		{"/client/hubs/1chat", "", http.StatusBadRequest},
		{"/client/hubs/chat/", "", http.StatusBadRequest},
		{"/client/hubs/a%2Fb", "", http.StatusNotFound},
		{"/client%2fhubs/chat", "", http.StatusNotFound},
		{"/client/", "", http.StatusBadRequest},
		{"/client/?hub=a%20b", "", http.StatusBadRequest},
		{"/clients/hubs/chat", "", http.StatusNotFound},
		{"/", "", http.StatusNotFound},
	} {
		u, err := url.Parse(tt.address)
		if err != nil {
			t.Fatal(err)
		}
		hub, refusal := route(u)
		status := 0
		if refusal != nil {
			status = refusal.Status
		}
		if hub != tt.hub || status != tt.status {
			t.Errorf("%s: hub %q, status %d; want %q, %d", tt.address, hub, status, tt.hub, tt.status)
		}
	}
}

func TestSubprotocols(t *testing.T) {
	got := subprotocols(http.Header{"Sec-Websocket-Protocol": {"a, b ,,c", " d"}})
	if want := []string{"a", "b", "c", "d"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
