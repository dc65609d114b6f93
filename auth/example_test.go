package auth_test

import (
	"fmt"
	"net/http"
	"time"

	"sluice/auth"
)

// A token is made by a service of the company, comes with the handshake of a
// client, and becomes an identity.
func Example() {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	key := "make one with: openssl rand -hex 32"

	token, err := auth.Mint([]byte(key), auth.Claims{
		Hub:    "chat",
		User:   "ann",
		Roles:  []string{"sluice.sendToGroups.room.*"},
		Groups: []string{"lobby"},
		TTL:    time.Hour,
	}, now)
	if err != nil {
		fmt.Println(err)
		return
	}

	verifier, err := auth.NewVerifier(auth.Config{Keys: []auth.Key{{Secret: auth.Secret(key)}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	header := http.Header{"Authorization": {"Bearer " + token}}
	found, source, err := auth.FromRequest(header, "", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	id, err := verifier.Verify(found, "chat", now.Add(time.Minute))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(id.User, "by", source, "in", id.Groups, "until", id.Expires.UTC().Format(time.TimeOnly))
	fmt.Println("room.1:", id.Permissions.Allowed(auth.SendToGroup, []byte("room.1")))
	fmt.Println("office:", id.Permissions.Allowed(auth.SendToGroup, []byte("office")))

	_, err = verifier.Verify(found, "chat", now.Add(2*time.Hour))
	fmt.Println(err)
	// Output:
	// ann by header in [lobby] until 13:01:00
	// room.1: true
	// office: false
	// token_expired: the token expired at 2026-01-01T13:00:00Z
}
