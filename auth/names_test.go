package auth_test

import (
	"regexp"
	"strings"
	"testing"

	"sluice/auth"
)

var hubNames = regexp.MustCompile("^[A-Za-z][A-Za-z0-9_`,.[\\]]{0,127}$")

func TestValidHub(t *testing.T) {
	names := []string{"", "a", "Z9", "a_`,.[]", "9a", "_a", "a-b", "a b", "a/b", "é", "a\n",
		"a" + strings.Repeat("b", 127), "a" + strings.Repeat("b", 128)}
	for c := range 256 {
		names = append(names, string([]byte{byte(c)}), string([]byte{'a', byte(c)}))
	}
	for _, name := range names {
		if got, want := auth.ValidHub(name), hubNames.MatchString(name) && !strings.HasSuffix(name, "\n"); got != want {
			t.Errorf("ValidHub(%q) = %v", name, got)
		}
	}
	if got := auth.CanonicalHub("Chat_A"); got != "chat_a" {
		t.Errorf("CanonicalHub: %q", got)
	}
}

func TestValidGroup(t *testing.T) {
	for name, want := range map[string]bool{
		"": false, " ": false, "\t \u2003": false, "g": true, " g": true, "a.b/c": true, "é": true, "\xff": false,
		strings.Repeat("g", 1024): true, strings.Repeat("g", 1025): false,
	} {
		if got := auth.ValidGroup(name); got != want {
			t.Errorf("ValidGroup(%q) = %v", name, got)
		}
	}
}
