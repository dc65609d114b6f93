package auth_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/auth"
)

func newTenants(t *testing.T) *auth.Tenants {
	t.Helper()
	tenants, err := auth.NewTenants(auth.Config{Keys: []auth.Key{{Secret: auth.Secret(key1)}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return tenants
}

var ticketNow = time.Unix(1_800_000_000, 5)

func issue(t *testing.T, tenants *auth.Tenants, c auth.Claims) string {
	t.Helper()
	ticket, err := tenants.IssueTicket(c, 30*time.Second, ticketNow)
	if err != nil {
		t.Fatal(err)
	}
	return ticket
}

func TestTicket(t *testing.T) {
	tenants := newTenants(t)
	ticket := issue(t, tenants, auth.Claims{Hub: "Chat", User: "ann", Roles: []string{"sluice.sendToGroup.g"}, Groups: []string{"b", "a", "b"}, TTL: time.Hour})
	if again := issue(t, tenants, auth.Claims{Hub: "chat", TTL: time.Hour}); again == ticket || len(ticket) < 30 {
		t.Errorf("%q, then %q", ticket, again)
	}
	for _, wrong := range []struct{ hub, ticket string }{{"other", ticket}, {"chat", ticket[:len(ticket)-1]}, {"chat", "slt_"}} {
		if _, err := tenants.Verify(wrong.ticket, wrong.hub, ticketNow); reasonOf(t, err) != auth.TicketUnknown {
			t.Errorf("hub %s: %v", wrong.hub, err)
		}
	}
	id, err := tenants.Verify(ticket, "chat", ticketNow)
	if err != nil {
		t.Fatal(err)
	}
	if id.User != "ann" || !slices.Equal(id.Groups, []string{"a", "b"}) || !id.Expires.Equal(ticketNow.Add(time.Hour)) ||
		!id.Permissions.Allowed(auth.SendToGroup, []byte("g")) || id.Permissions.Allowed(auth.SendToGroup, []byte("h")) {
		t.Errorf("got %+v", id)
	}
	if _, err := tenants.Verify(ticket, "chat", ticketNow); reasonOf(t, err) != auth.TicketUnknown {
		t.Errorf("again: %v", err)
	}
}

func TestTicketExpires(t *testing.T) {
	tenants := newTenants(t)
	claims := auth.Claims{Hub: "chat", TTL: time.Hour}
	if _, err := tenants.Verify(issue(t, tenants, claims), "chat", ticketNow.Add(30*time.Second-1)); err != nil {
		t.Errorf("at the last moment: %v", err)
	}
	if _, err := tenants.Verify(issue(t, tenants, claims), "chat", ticketNow.Add(30*time.Second)); reasonOf(t, err) != auth.TicketExpired {
		t.Errorf("a moment later: %v", err)
	}
}

// TestTicketRevoked: who is revoked does not come in with a ticket from before.
func TestTicketRevoked(t *testing.T) {
	tenants := newTenants(t)
	ticket := issue(t, tenants, auth.Claims{Hub: "chat", User: "ann", TTL: time.Hour})
	if err := tenants.Revoke("chat", auth.Revocation{User: "ann", IssuedUntil: ticketNow}, ticketNow, time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := tenants.Verify(ticket, "chat", ticketNow); reasonOf(t, err) != auth.TokenRevoked {
		t.Errorf("got %v", err)
	}
}

// TestTicketOnce: of many who come with one ticket at the same time, one comes in.
func TestTicketOnce(t *testing.T) {
	tenants := newTenants(t)
	var in atomic.Int32
	for range 50 {
		ticket := issue(t, tenants, auth.Claims{Hub: "chat", TTL: time.Hour})
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if _, err := tenants.Verify(ticket, "chat", ticketNow); err == nil {
					in.Add(1)
				}
			})
		}
		all.Wait()
	}
	if n := in.Load(); n != 50 {
		t.Errorf("50 tickets let %d in", n)
	}
}

// TestTicketsBounded: what waits is bounded for each hub, and what is over makes
// room.
func TestTicketsBounded(t *testing.T) {
	tenants := newTenants(t)
	claims := auth.Claims{Hub: "chat", TTL: time.Hour, Groups: []string{strings.Repeat("g", 1000)}}
	var err error
	n := 0
	for ; err == nil && n < 10_000; n++ {
		_, err = tenants.IssueTicket(claims, 30*time.Second, ticketNow)
	}
	if !errors.Is(err, auth.ErrTicketsFull) || n < 3000 {
		t.Fatalf("after %d: %v", n, err)
	}
	issue(t, tenants, auth.Claims{Hub: "other", TTL: time.Hour})
	if _, err := tenants.IssueTicket(claims, 30*time.Second, ticketNow.Add(time.Minute)); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

// TestTicketsForgotten: tickets that nobody uses do not add up.
func TestTicketsForgotten(t *testing.T) {
	tenants := newTenants(t)
	claims := auth.Claims{Hub: "chat", TTL: time.Hour, Groups: []string{strings.Repeat("g", 1000)}}
	for i := range 20_000 { // six times what there is room for
		if _, err := tenants.IssueTicket(claims, 30*time.Second, ticketNow.Add(time.Duration(i)*time.Second)); err != nil {
			t.Fatalf("ticket %d: %v", i, err)
		}
	}
}

func TestTicketRefused(t *testing.T) {
	tenants := newTenants(t)
	for name, c := range map[string]auth.Claims{
		"hub":   {Hub: "9", TTL: time.Hour},
		"group": {Hub: "chat", Groups: []string{" "}, TTL: time.Hour},
		"role":  {Hub: "chat", Roles: []string{"sluice.fly"}, TTL: time.Hour},
		"ttl":   {Hub: "chat"},
	} {
		if _, err := tenants.IssueTicket(c, time.Second, ticketNow); err == nil || !strings.HasPrefix(err.Error(), name+":") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, life := range []time.Duration{0, auth.MaxTicketLife + 1} {
		if _, err := tenants.IssueTicket(auth.Claims{Hub: "chat", TTL: time.Hour}, life, ticketNow); err == nil {
			t.Errorf("life %v is taken", life)
		}
	}
}
