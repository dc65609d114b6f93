package login_test

import (
	"testing"

	"sluice/api/login"
)

func TestAllow(t *testing.T) {
	emails := login.Allow{Emails: []string{"Ann@Example.com", "@ops.example.com"}}
	groups := login.Allow{Claim: "groups", Values: []string{"ops", "sre"}}
	nested := login.Allow{Claim: "/realm_access/roles", Values: []string{"ops"}}
	for _, tt := range []struct {
		name    string
		allow   login.Allow
		subject string
		claims  string
		want    bool
	}{
		{"nobody", login.Allow{}, "u", `{"groups":["ops"],"email":"ann@example.com","email_verified":true}`, false},
		{"everybody", login.Allow{Subjects: []string{"*"}}, "u", `{}`, true},
		{"subject", login.Allow{Subjects: []string{"a", "u"}}, "u", `{}`, true},
		{"another subject", login.Allow{Subjects: []string{"u"}}, "U", `{}`, false},
		{"email", emails, "u", `{"email":"ann@example.com","email_verified":true}`, true},
		{"email, verified as text", emails, "u", `{"email":"ann@example.com","email_verified":"true"}`, true},
		{"email, not verified", emails, "u", `{"email":"ann@example.com","email_verified":false}`, false},
		{"email, not known whether", emails, "u", `{"email":"ann@example.com"}`, false},
		{"domain", emails, "u", `{"email":"Bob@OPS.example.com","email_verified":true}`, true},
		{"domain that begins otherwise", emails, "u", `{"email":"bob@xops.example.com","email_verified":true}`, false},
		{"domain that goes on", emails, "u", `{"email":"bob@ops.example.com.evil.test","email_verified":true}`, false},
		{"two at signs", emails, "u", `{"email":"bob@ops.example.com@evil.test","email_verified":true}`, false},
		{"no name", emails, "u", `{"email":"@ops.example.com","email_verified":true}`, false},
		{"email of another form", emails, "u", `{"email":["ann@example.com"],"email_verified":true}`, false},
		{"group", groups, "u", `{"groups":["dev","sre"]}`, true},
		{"single group", groups, "u", `{"groups":"ops"}`, true},
		{"another group", groups, "u", `{"groups":["oops"]}`, false},
		{"groups in one text", groups, "u", `{"groups":"dev ops"}`, false},
		{"groups as an object", groups, "u", `{"groups":{"ops":true}}`, false},
		{"groups of several kinds", groups, "u", `{"groups":[1,null,["ops"],"sre"]}`, true},
		{"group in a list in the list", groups, "u", `{"groups":[["ops"]]}`, false},
		{"no groups", groups, "u", `{"groups":null}`, false},
		{"nested", nested, "u", `{"realm_access":{"roles":["ops"]}}`, true},
		{"nested, elsewhere", nested, "u", `{"roles":["ops"]}`, false},
		{"nested in text", nested, "u", `{"realm_access":"roles"}`, false},
	} {
		if got := tt.allow.Permits(tt.subject, tt.claims); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// FuzzAllow: claims of any form let nobody in whose groups are not there.
func FuzzAllow(f *testing.F) {
	for _, seed := range []string{`{}`, `{"groups":["a"]}`, `{"groups":"a"}`, `{"email":"a@b","email_verified":true}`, `[]`, ``, `{"groups":`} {
		f.Add([]byte(seed))
	}
	const secret = "a group that no input of the fuzzer names 7f3c"
	allow := login.Allow{Claim: "groups", Values: []string{secret}, Emails: []string{secret + "@x.test"}, Subjects: []string{secret}}
	f.Fuzz(func(t *testing.T, claims []byte) {
		if allow.Permits("u", string(claims)) {
			t.Errorf("let in by %q", claims)
		}
	})
}
