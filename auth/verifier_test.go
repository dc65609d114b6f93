package auth_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/auth"
)

// The claims are those of a published server library; both tokens were signed
// with the openssl command line.
const (
	opensslHS256 = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJyb2xlIjpbIndlYnB1YnN1Yi5qb2luTGVhdmVHcm91cCJdLCJpYXQiOjE3MDAwMDAwMDAsImV4cCI6NDEwMjQ0NDgwMCwiYXVkIjoiaHR0cDovL2xvY2FsaG9zdDoxMjc1L2NsaWVudC9odWJzL2NoYXQiLCJzdWIiOiJ1MSJ9.hefOwafv5lfIEfbp1HMflwStzi_yCjwcBu4RkH6XkBw"
	opensslHS512 = "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCIsImtpZCI6ImIifQ.eyJyb2xlIjpbIndlYnB1YnN1Yi5qb2luTGVhdmVHcm91cCJdLCJpYXQiOjE3MDAwMDAwMDAsImV4cCI6NDEwMjQ0NDgwMCwiYXVkIjoiaHR0cDovL2xvY2FsaG9zdDoxMjc1L2NsaWVudC9odWJzL2NoYXQiLCJzdWIiOiJ1MSJ9.KttEB3LtSpjwDCaER_MCv2wNgcieAafFHHmWuRJ_V6mYWl4Acec58DFo82EhrbpKxDaHhVx7XNQUfLxgXJ0CXw"
)

func TestVerifyTokensOfOthers(t *testing.T) {
	v := newVerifier(t, nil)
	for _, token := range []string{opensslHS256, opensslHS512} {
		id, err := v.Verify(token, "chat", now)
		if err != nil {
			t.Fatal(err)
		}
		if id.User != "u1" || !id.Expires.Equal(time.Unix(4102444800+60, 0)) {
			t.Errorf("user %q, expires %v", id.User, id.Expires)
		}
		if !id.Permissions.Allowed(auth.JoinLeaveGroup, []byte("any")) || id.Permissions.Allowed(auth.SendToGroup, []byte("any")) {
			t.Error("the role joinLeaveGroup does not allow that, or allows more")
		}
	}
}

func TestVerifyClaims(t *testing.T) {
	const rest = `"exp":1700003600,"aud":"/client/hubs/chat"`
	cases := []struct {
		name, claims string
		want         auth.Identity // without Permissions and Expires
		join, send   string        // groups that are allowed, if not empty
	}{
		{"anonymous", `{` + rest + `}`, auth.Identity{}, "", ""},
		{"user", `{"sub":"ann","jti":"t1",` + rest + `}`, auth.Identity{User: "ann", TokenID: "t1"}, "", ""},
		{"long names", `{"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier":"ann",
			"http://schemas.microsoft.com/ws/2008/06/identity/claims/role":"sluice.sendToGroup",` + rest + `}`,
			auth.Identity{User: "ann"}, "", "g"},
		{"sub goes first", `{"sub":"ann","http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier":"bob",` + rest + `}`,
			auth.Identity{User: "ann"}, "", ""},
		{"one role", `{"role":"webpubsub.joinLeaveGroup.a.b",` + rest + `}`, auth.Identity{}, "a.b", ""},
		{"roles", `{"role":["webpubsub.joinLeaveGroups.a*","admin","sluice.sendToGroup.x"],` + rest + `}`, auth.Identity{}, "abc", "x"},
		{"both role claims", `{"role":["sluice.joinLeaveGroup"],"http://schemas.microsoft.com/ws/2008/06/identity/claims/role":["sluice.sendToGroup"],` + rest + `}`,
			auth.Identity{}, "g", "g"},
		{"one group", `{"webpubsub.group":"g",` + rest + `}`, auth.Identity{Groups: []string{"g"}}, "", ""},
		{"groups of both claims", `{"webpubsub.group":["b","a"],"sluice.group":["c","b"],` + rest + `}`,
			auth.Identity{Groups: []string{"a", "b", "c"}}, "", ""},
		{"nulls", `{"sub":null,"role":null,"sluice.group":null,"nbf":null,` + rest + `}`, auth.Identity{}, "", ""},
		{"other case is another claim", `{"SUB":"x","Role":"sluice.sendToGroup","EXP":1,` + rest + `}`, auth.Identity{}, "", ""},
		{"when it was made", `{"iat":1700000000,` + rest + `}`, auth.Identity{IssuedAt: time.Unix(1700000000, 0)}, "", ""},
		{"others are skipped", `{"iss":7,"deep":{"sub":"x","a":[[[]]]},` + rest + `}`, auth.Identity{}, "", ""},
	}
	v := newVerifier(t, nil)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := v.Verify(hs256(c.claims), "chat", now)
			if err != nil {
				t.Fatal(err)
			}
			for _, may := range []struct {
				action auth.Action
				group  string
			}{{auth.JoinLeaveGroup, c.join}, {auth.SendToGroup, c.send}} {
				if got.Permissions.Allowed(may.action, []byte(may.group)) != (may.group != "") {
					t.Errorf("action %d on %q: not as wanted", may.action, may.group)
				}
			}
			if !got.Expires.Equal(now.Add(time.Hour + time.Minute)) {
				t.Errorf("expires %v", got.Expires)
			}
			got.Permissions, got.Expires = nil, time.Time{}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("\n got %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestVerifyRefuses(t *testing.T) {
	const good = `{"exp":1700003600,"aud":"/client/hubs/chat"}`
	claims := func(more string) string {
		return hs256(strings.Replace(good, "}", ","+more+"}", 1))
	}
	head, _, _ := strings.Cut(hs256(good), ".")
	cases := []struct {
		name, token string
		want        auth.Reason
	}{
		{"nothing", "", auth.TokenMissing},
		{"a word", "secret", auth.TokenMalformed},
		{"two dots", "..", auth.TokenMalformed},
		{"four parts", hs256(good) + ".x", auth.TokenMalformed},
		{"padding", hs256(good) + "=", auth.TokenMalformed},
		{"a line end", hs256(good) + "\n", auth.TokenMalformed},
		{"header not JSON", "AAAA." + encode(good) + ".AAAA", auth.TokenMalformed},
		{"claims not JSON", head + ".AAAA.AAAA", auth.TokenMalformed},
		{"claims an array", hs256(`[]`), auth.TokenMalformed},
		{"claims null", hs256(`null`), auth.TokenMalformed},
		{"too large", strings.Repeat("a", 8<<10+1), auth.TokenTooLarge},
		{"no signature", strings.TrimRight(hs256(good), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"), auth.TokenSignature},
		{"another key", sign("HS256", `{"alg":"HS256"}`, good, key1+"x"), auth.TokenSignature},
		{"kid chooses a key", sign("HS256", `{"alg":"HS256","kid":"two"}`, good, key1), auth.TokenSignature},
		{"other hash than named", sign("HS512", `{"alg":"HS256"}`, good, key1), auth.TokenSignature},
		{"none", encode(`{"alg":"none"}`) + "." + encode(good) + ".", auth.TokenAlgorithm},
		{"None", encode(`{"alg":"None"}`) + "." + encode(good) + ".", auth.TokenAlgorithm},
		{"RS256 signed with the key", sign("HS256", `{"alg":"RS256"}`, good, key1), auth.TokenAlgorithm},
		{"ES256", sign("HS256", `{"alg":"ES256"}`, good, key1), auth.TokenAlgorithm},
		{"EdDSA", sign("HS256", `{"alg":"EdDSA"}`, good, key1), auth.TokenAlgorithm},
		{"unknown algorithm", sign("HS256", `{"alg":"HS1"}`, good, key1), auth.TokenAlgorithm},
		{"no algorithm", sign("HS256", `{}`, good, key1), auth.TokenAlgorithm},
		{"algorithm a number", sign("HS256", `{"alg":256}`, good, key1), auth.TokenAlgorithm},
		{"crit", sign("HS256", `{"alg":"HS256","crit":["exp"]}`, good, key1), auth.TokenMalformed},
		{"no exp", hs256(`{"aud":"/client/hubs/chat"}`), auth.TokenMalformed},
		{"exp null", hs256(`{"exp":null,"aud":"/client/hubs/chat"}`), auth.TokenMalformed},
		{"exp a string", hs256(`{"exp":"1700003600","aud":"/client/hubs/chat"}`), auth.TokenMalformed},
		{"exp in milliseconds", hs256(`{"exp":1700003600000,"aud":"/client/hubs/chat"}`), auth.TokenMalformed},
		{"exp huge", hs256(`{"exp":1e999,"aud":"/client/hubs/chat"}`), auth.TokenMalformed},
		{"exp negative", hs256(`{"exp":-1,"aud":"/client/hubs/chat"}`), auth.TokenMalformed},
		{"iat a word", claims(`"iat":"never"`), auth.TokenMalformed},
		{"exp twice", claims(`"exp":1800000000`), auth.TokenMalformed},
		{"sub a number", claims(`"sub":7`), auth.TokenMalformed},
		{"role an object", claims(`"role":{}`), auth.TokenMalformed},
		{"role with a number", claims(`"role":["a",1]`), auth.TokenMalformed},
		{"not UTF-8", claims(`"sub":"` + "\xff" + `"`), auth.TokenMalformed},
		{"exp zero", hs256(`{"exp":0,"aud":"/client/hubs/chat"}`), auth.TokenExpired},
		{"no aud", hs256(`{"exp":1700003600}`), auth.TokenAudience},
		{"another hub", hs256(`{"exp":1700003600,"aud":"http://h/client/hubs/chat2"}`), auth.TokenAudience},
		{"empty group", claims(`"sluice.group":["a",""]`), auth.TokenGroupInvalid},
		{"white group", claims(`"webpubsub.group":" \t"`), auth.TokenGroupInvalid},
		{"long group", claims(`"webpubsub.group":"` + strings.Repeat("g", 1025) + `"`), auth.TokenGroupInvalid},
	}
	v := newVerifier(t, nil)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			id, err := v.Verify(c.token, "chat", now)
			if got := reasonOf(t, err); got != c.want {
				t.Fatalf("got %q (%v), want %q", got, err, c.want)
			}
			if !reflect.DeepEqual(id, auth.Identity{}) {
				t.Errorf("an identity comes with the refusal: %+v", id)
			}
			refusal, _ := errors.AsType[*auth.Refusal](err)
			want := 401
			if c.want == auth.TokenGroupInvalid {
				want = 400
			}
			if refusal.Status != want {
				t.Errorf("status %d, want %d", refusal.Status, want)
			}
			for part := range strings.SplitSeq(c.token, ".") {
				if len(part) > 6 && strings.Contains(err.Error(), part) {
					t.Errorf("the text shows the token: %v", err)
				}
			}
		})
	}
}

func TestRefusalNamesTheBadClaim(t *testing.T) {
	v := newVerifier(t, nil)
	_, err := v.Verify(hs256(`{"exp":1700003600,"role":["a",{}]}`), "chat", now)
	if err == nil || !strings.Contains(err.Error(), "claim role ") {
		t.Errorf("got %v", err)
	}
}

func TestVerifyTimes(t *testing.T) {
	v := newVerifier(t, func(c *auth.Config) { c.Leeway = 30 * time.Second })
	token := hs256(`{"nbf":1700000000.5,"exp":1700000100.5,"aud":"/client/hubs/chat"}`)
	start, end := now.Add(500*time.Millisecond), now.Add(100*time.Second+500*time.Millisecond)
	cases := []struct {
		name string
		now  time.Time
		want auth.Reason
	}{
		{"long before nbf", start.Add(-time.Hour), auth.TokenNotYetValid},
		{"just before the leeway of nbf", start.Add(-30*time.Second - 1), auth.TokenNotYetValid},
		{"in the leeway of nbf", start.Add(-30 * time.Second), ""},
		{"valid", start.Add(time.Second), ""},
		{"in the leeway of exp", end.Add(30*time.Second - 1), ""},
		{"at the end of the leeway of exp", end.Add(30 * time.Second), auth.TokenExpired},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			id, err := v.Verify(token, "chat", c.now)
			if got := reasonOf(t, err); got != c.want {
				t.Fatalf("got %q, want %q", got, c.want)
			}
			if err == nil && !id.Expires.Equal(end.Add(30*time.Second)) {
				t.Errorf("Expires is %v, but the token is refused from %v", id.Expires, end.Add(30*time.Second))
			}
		})
	}
}

func TestVerifyAudience(t *testing.T) {
	endpoints := []string{"https://Chat.example.com/", "http://10.0.0.1:8080"}
	cases := []struct {
		aud, hub  string // aud is JSON
		path      bool   // accepted by the path alone
		endpoints bool   // accepted by the endpoints above
	}{
		{`"https://chat.example.com/client/hubs/chat"`, "chat", true, true},
		{`"HTTPS://CHAT.example.com:443/Client/Hubs/CHAT"`, "chat", true, true},
		{`"https://chat.example.com/client/hubs/chat"`, "CHAT", true, true},
		{`"http://10.0.0.1:8080/client/hubs/chat?x=1"`, "chat", true, true},
		{`["https://other/x","https://chat.example.com/client/hubs/chat"]`, "chat", true, true},
		{`"http://chat.example.com/client/hubs/chat"`, "chat", true, false},
		{`"https://chat.example.com:8443/client/hubs/chat"`, "chat", true, false},
		{`"/client/hubs/chat"`, "chat", true, false},
		{"\"https://chat.example.com/client/hubs/a`,.[b]\"", "a`,.[b]", true, true},
		{`"https://chat.example.com/client/hubs/a%60%2c.%5Bb%5D"`, "a`,.[b]", true, true},
		{`"https://chat.example.com/client/hubs/a%2560"`, "a`", false, false},
		{`"https://chat.example.com/client/hubs/"`, "chat", false, false},
		{`"https://chat.example.com/client/hubs/chat/"`, "chat", false, false},
		{`"https://chat.example.com/x/client/hubs/chat"`, "chat", false, false},
		{`"https://chat.example.com/client/hubs/%zz"`, "chat", false, false},
		{`"https://user@chat.example.com/client/hubs/chat"`, "chat", false, false},
		{`"client/hubs/chat"`, "chat", false, false},
		{`"chat"`, "chat", false, false},
		{`""`, "", false, false},
		{`[]`, "chat", false, false},
	}
	byPath := newVerifier(t, nil)
	byEndpoint := newVerifier(t, func(c *auth.Config) { c.Endpoints = endpoints })
	for _, c := range cases {
		t.Run(c.aud, func(t *testing.T) {
			token := hs256(fmt.Sprintf(`{"exp":1700003600,"aud":%s}`, c.aud))
			if _, err := byPath.Verify(token, c.hub, now); (err == nil) != c.path {
				t.Errorf("by path: %v", err)
			}
			if _, err := byEndpoint.Verify(token, c.hub, now); (err == nil) != c.endpoints {
				t.Errorf("by endpoint: %v", err)
			}
		})
	}
}

func TestKeyRotation(t *testing.T) {
	const claims = `{"exp":1700003600,"aud":"/client/hubs/chat"}`
	both := newVerifier(t, nil)
	second := newVerifier(t, func(c *auth.Config) { c.Keys = c.Keys[1:] })
	cases := []struct {
		alg, header, key      string
		withBoth, withoutFrst bool
	}{
		{"HS256", `{"alg":"HS256"}`, key1, true, false},
		{"HS384", `{"alg":"HS384"}`, key2, true, true},
		{"HS512", `{"alg":"HS512","kid":"one"}`, key1, true, false},
		{"HS256", `{"alg":"HS256","kid":"two"}`, key2, true, true},
		{"HS256", `{"alg":"HS256","kid":"unknown"}`, key2, true, true},
		{"HS256", `{"alg":"HS256","kid":7}`, key2, true, true},
		{"HS256", `{"alg":"HS256","kid":""}`, key2, true, true},
		{"HS256", `{"alg":"HS256","kid":"one"}`, key2, false, true},
	}
	for _, c := range cases {
		token := sign(c.alg, c.header, claims, c.key)
		if _, err := both.Verify(token, "chat", now); (err == nil) != c.withBoth {
			t.Errorf("%s: with both keys: %v", c.header, err)
		}
		if _, err := second.Verify(token, "chat", now); (err == nil) != c.withoutFrst {
			t.Errorf("%s: with the second key only: %v", c.header, err)
		}
	}
}

func TestEqualRolesShareOneCompilation(t *testing.T) {
	v := newVerifier(t, nil)
	verify := func(roles string) auth.Identity {
		t.Helper()
		id, err := v.Verify(hs256(`{"exp":1700003600,"aud":"/client/hubs/chat","role":`+roles+`}`), "chat", now)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	const common = `["sluice.sendToGroup","sluice.nonsense"]`
	first := verify(common)
	if len(first.IgnoredRoles) != 1 || first.IgnoredRoles[0].Role != "sluice.nonsense" {
		t.Errorf("ignored %v", first.IgnoredRoles)
	}
	for i := range 3 * auth.GenerationSize {
		verify(fmt.Sprintf(`"sluice.sendToGroup.%d"`, i))
		if again := verify(common); again.Permissions != first.Permissions || len(again.IgnoredRoles) != 1 {
			t.Fatalf("after %d other lists the common one was compiled anew", i+1)
		}
		if n := v.Interned(); n > 2*auth.GenerationSize {
			t.Fatalf("%d lists are kept", n)
		}
	}
	before := v.Interned()
	long := `"sluice.sendToGroup.` + strings.Repeat("g", 1000) + strings.Repeat(`","sluice.sendToGroup`, 3) + `"`
	one, another := verify("["+long+"]"), verify("["+long+"]")
	if one.Permissions == another.Permissions || v.Interned() != before {
		t.Error("a list above the limit is kept")
	}
	if a, b := verify(`["sluice.sendToGroup.a","sluice.sendToGroup.b"]`), verify(`"sluice.sendToGroup.a"`); a.Permissions == b.Permissions {
		t.Error("different lists share their permissions")
	}
}

func TestVerifyFromManyGoroutines(t *testing.T) {
	v := newVerifier(t, nil)
	var wg sync.WaitGroup
	shared := make([]*auth.Permissions, 8)
	for g := range shared {
		wg.Go(func() {
			for i := range 100 {
				_, err := v.Verify(hs256(fmt.Sprintf(`{"exp":1700003600,"aud":"/client/hubs/chat","role":"sluice.sendToGroup.%d"}`, i*g)), "chat", now)
				if err != nil {
					t.Error(err)
				}
			}
			id, _ := v.Verify(opensslHS256, "chat", now)
			shared[g] = id.Permissions
		})
	}
	wg.Wait()
	if len(slices.Compact(shared)) != 1 {
		t.Error("goroutines do not share what has equal roles")
	}
}

func FuzzVerify(f *testing.F) {
	f.Add(opensslHS256, `{"alg":"HS256"}`, `{"exp":1700003600,"aud":"/client/hubs/chat","sub":"u","role":["sluice.sendToGroups.a*"],"sluice.group":["g"]}`, "chat")
	f.Add("a.b.c", `{"alg":"none"}`, `null`, "")
	f.Add("..", `{"alg":"HS512","kid":"two","crit":[]}`, `{"exp":1e99,"nbf":-0.1,"aud":["http://[::1]:1/client/hubs/a%2"]}`, "a")
	f.Add("", `[]`, `{"exp":253402300799.999,"aud":"//","webpubsub.group":[null]}`, "]")
	v := newVerifier(f, nil)
	f.Fuzz(func(t *testing.T, garbage, header, claims, hub string) {
		// Garbage as it is, then garbage that is properly signed.
		for _, token := range []string{garbage, sign("HS256", header, claims, key1)} {
			id, err := v.Verify(token, hub, now)
			switch {
			case err != nil:
				if r := reasonOf(t, err); !slices.Contains(auth.Reasons(), r) {
					t.Fatalf("unlisted reason %q", r)
				}
			case !id.Expires.After(now) || !auth.ValidHub(hub):
				t.Fatalf("accepted for hub %q until %v", hub, id.Expires)
			case slices.ContainsFunc(id.Groups, func(g string) bool { return !auth.ValidGroup(g) }):
				t.Fatalf("accepted with groups %q", id.Groups)
			}
		}
	})
}
