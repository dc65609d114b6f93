package auth

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestRevocations(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	old, young := Origin{TokenID: "1", User: "ann", IssuedAt: now.Add(-time.Hour)}, Origin{TokenID: "2", User: "ann", IssuedAt: now.Add(time.Second)}
	bob, nobody := Origin{User: "bob", IssuedAt: now.Add(-time.Hour)}, Origin{}
	for _, tt := range []struct {
		name string
		what Revocation
		want [4]bool // of old, young, bob, nobody
	}{
		{"a token", Revocation{TokenID: "2"}, [4]bool{false, true, false, false}},
		{"a user", Revocation{User: "ann", IssuedUntil: now}, [4]bool{true, false, false, false}},
		{"everybody", Revocation{IssuedUntil: now}, [4]bool{true, false, true, true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r Revocations
			if err := r.Revoke("Chat", tt.what, now, time.Hour); err != nil {
				t.Fatal(err)
			}
			for i, o := range []Origin{old, young, bob, nobody} {
				if got := r.Revoked("chat", o, now); got != tt.want[i] {
					t.Errorf("%+v: %v", o, got)
				}
				if got := tt.what.Covers(o); got != tt.want[i] {
					t.Errorf("%+v is covered: %v", o, got)
				}
				if r.Revoked("other", o, now) {
					t.Errorf("%+v is revoked in another hub", o)
				}
				if r.Revoked("chat", o, now.Add(61*time.Minute)) {
					t.Errorf("%+v is revoked for ever", o)
				}
			}
		})
	}
}

// TestRevocationsAddUp: a later call takes nothing back.
func TestRevocationsAddUp(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	o := Origin{User: "ann", IssuedAt: now}
	var r Revocations
	for _, issued := range []time.Time{now, now.Add(-time.Hour)} {
		if err := r.Revoke("chat", Revocation{User: "ann", IssuedUntil: issued}, now, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if !r.Revoked("chat", o, now) {
		t.Error("it is good again")
	}
}

func TestRevocationsAreBounded(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var r Revocations
	revoke := func(id string, now time.Time) error {
		return r.Revoke("chat", Revocation{TokenID: id}, now, time.Minute)
	}
	for i := range maxRevocations {
		if err := revoke(fmt.Sprint(i), now); err != nil {
			t.Fatal(err)
		}
	}
	if err := revoke("one more", now); !errors.Is(err, ErrRevocationsFull) {
		t.Errorf("got %v", err)
	}
	if err := revoke("one more", now.Add(time.Hour)); err != nil {
		t.Errorf("when the others are over: %v", err)
	}
	if n := len(r.hubs["chat"].tokens); n != 1 {
		t.Errorf("%d are remembered", n)
	}
}
