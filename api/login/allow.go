package login

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"sluice/auth"
)

// user is what an ID token says about somebody.
type user struct {
	subject string
	claims  jsontext.Value // all of them, an object
}

// everybody among the subjects is every user of the provider.
const everybody = "*"

// permits tells whether a user may see the pages.
func (a *Allow) permits(u user) bool {
	return slices.Contains(a.Subjects, everybody) || slices.Contains(a.Subjects, u.subject) ||
		a.permitsEmail(u.claims) || a.permitsClaim(u.claims)
}

// permitsEmail takes an address only where the provider says that it has verified
// it: at some, users type in what they like.
func (a *Allow) permitsEmail(claims jsontext.Value) bool {
	if len(a.Emails) == 0 || !isTrue(auth.PathOf("email_verified").In(claims)) {
		return false
	}
	var email string
	if v := auth.PathOf("email").In(claims); v.Kind() != '"' || json.Unmarshal(v, &email) != nil {
		return false
	}
	at := strings.LastIndexByte(email, '@')
	if at < 1 {
		return false
	}
	return slices.ContainsFunc(a.Emails, func(allowed string) bool {
		if strings.HasPrefix(allowed, "@") {
			return strings.EqualFold(allowed, email[at:])
		}
		return strings.EqualFold(allowed, email)
	})
}

// isTrue takes "true" too, which some providers send.
func isTrue(v jsontext.Value) bool {
	s := string(v)
	return s == "true" || s == `"true"`
}

func (a *Allow) permitsClaim(claims jsontext.Value) bool {
	v := auth.PathOf(a.Claim).In(claims)
	var one string
	var several []jsontext.Value
	switch v.Kind() {
	case '"':
		return json.Unmarshal(v, &one) == nil && slices.Contains(a.Values, one)
	case '[':
		if json.Unmarshal(v, &several) != nil {
			return false
		}
	}
	return slices.ContainsFunc(several, func(v jsontext.Value) bool {
		return v.Kind() == '"' && json.Unmarshal(v, &one) == nil && slices.Contains(a.Values, one)
	})
}
