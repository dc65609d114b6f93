package auth_test

import (
	"regexp"
	"testing"

	"sluice/auth"
)

func TestReasonsAreLabels(t *testing.T) {
	label := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	seen := map[auth.Reason]bool{}
	for _, r := range auth.Reasons() {
		if seen[r] || !label.MatchString(string(r)) {
			t.Errorf("%q is no label, or there twice", r)
		}
		seen[r] = true
		if s := auth.Refuse(r, "x").Status; (s < 400 || s > 499) != (r == auth.IssuerUnavailable) {
			t.Errorf("%q has status %d", r, s)
		}
	}
	if s := auth.Refuse(auth.IssuerUnavailable, "x").Status; s != 503 {
		t.Errorf("an issuer that is away has status %d", s)
	}
	if s := auth.Refuse(auth.OriginDenied, "x").Status; s != 403 {
		t.Errorf("a denied origin has status %d", s)
	}
}
