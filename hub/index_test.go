package hub

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestConnectionIndex compares the index with a plain map under random additions
// and removals, with hashes that meet often and tables that grow and shrink.
func TestConnectionIndex(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var x connectionIndex
	plain := map[connectionID]*Session{}
	for step := range 50_000 {
		var id connectionID
		binary.LittleEndian.PutUint64(id[:], rng.Uint64N(16)|rng.Uint64N(8)<<61) // few slots, few stripes
		id[15] = byte(rng.IntN(8))
		switch s := plain[id]; {
		case s == nil && rng.IntN(20_000) > step%20_000: // waves
			s = &Session{id: id}
			plain[id] = s
			x.add(s)
		case s != nil && rng.IntN(2) == 0:
			delete(plain, id)
			x.remove(s)
		}
		if x.find(id) != plain[id] {
			t.Fatalf("step %d: found %v, want %v", step, x.find(id), plain[id])
		}
	}
	for id, s := range plain {
		if x.find(id) != s {
			t.Fatal("one is not found at the end")
		}
		x.remove(s)
	}
	for i := range x.stripes {
		if s := &x.stripes[i]; s.t.count != 0 || s.t.slots != nil {
			t.Errorf("an empty table has %d entries and %d slots", s.t.count, len(s.t.slots))
		}
	}
}

// TestUserIndex does the same for users with none, one or several sessions.
func TestUserIndex(t *testing.T) {
	rng := rand.New(rand.NewPCG(rand.Uint64(), 0))
	x := userIndex{seed: maphash.MakeSeed()}
	plain := map[string][]*Session{}
	for step := range 50_000 {
		user := fmt.Sprint(rng.IntN(200))
		there := plain[user]
		if rng.IntN(3) > 0 && len(there) < 4 {
			s := &Session{user: user}
			older, r := x.add(s, func(n int) (bool, refusal) {
				if n != len(there) {
					t.Fatalf("step %d: %d sessions, want %d", step, n, len(there))
				}
				return n%2 == 0, accepted
			})
			if r != accepted || len(there)%2 == 0 && !sameSessions(older, there) {
				t.Fatalf("step %d: refusal %d, older %v, want %v", step, r, older, there)
			}
			plain[user] = append(there, s)
		} else if len(there) > 0 {
			i := rng.IntN(len(there))
			x.remove(there[i])
			plain[user] = slices.Delete(there, i, i+1)
		}
		if all := x.all(user); !sameSessions(all, plain[user]) || x.has(user) != (len(all) > 0) {
			t.Fatalf("step %d: user %s has %d sessions, want %d", step, user, len(all), len(plain[user]))
		}
	}
	if _, r := x.add(&Session{user: "0"}, func(int) (bool, refusal) { return true, userFull }); r != userFull {
		t.Error("a session that is not admitted is added")
	}
	if !sameSessions(x.all("0"), plain["0"]) {
		t.Error("a session that was not admitted is there")
	}
}

func sameSessions(a, b []*Session) bool {
	if len(a) != len(b) {
		return false
	}
	for _, s := range a {
		if !slices.Contains(b, s) {
			return false
		}
	}
	return true
}
