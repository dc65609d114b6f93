package auth

import "testing"

func TestReconnection(t *testing.T) {
	r := NewReconnection()
	token := r.Mint("chat", "c1")
	if token != r.Mint("chat", "c1") {
		t.Error("another token for the same connection")
	}
	for _, tt := range []struct {
		name, token, hub, connection string
		want                         bool
	}{
		{"its own", token, "chat", "c1", true},
		{"another connection", token, "chat", "c2", false},
		{"another hub", token, "chat2", "c1", false},
		{"shifted", r.Mint("cha", "tc1"), "chat", "c1", false},
		{"another process", NewReconnection().Mint("chat", "c1"), "chat", "c1", false},
		{"nothing", "", "chat", "c1", false},
		{"cut", token[:len(token)-1], "chat", "c1", false},
		{"longer", token + "A", "chat", "c1", false},
		{"not base64", "!" + token[1:], "chat", "c1", false},
	} {
		if got := r.Verify(tt.token, tt.hub, tt.connection); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
