package auth_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"sluice/auth"
)

func TestRoles(t *testing.T) {
	cases := []struct {
		name       string
		roles      []string
		join, send string // groups, space between: allowed; ! before: not allowed
		ignored    int
	}{
		{"none", nil, "!g", "!g", 0},
		{"of another system", []string{"admin", "joinLeaveGroup", "Sluice.sendToGroup", "sluice"}, "!g", "!g", 0},
		{"every group", []string{"sluice.joinLeaveGroup"}, "g a.b", "!g", 0},
		{"names of published libraries", []string{"webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"}, "g", "g", 0},
		{"one group", []string{"sluice.sendToGroup.a"}, "!a", "a !b !A !a.b", 0},
		{"several groups", []string{"webpubsub.sendToGroup.b", "sluice.sendToGroup.a", "sluice.sendToGroup.c", "sluice.sendToGroup.b"}, "!a", "a b c !d", 0},
		{"a group with dots and stars", []string{"sluice.sendToGroup.a.*"}, "", "a.* !a.b", 0},
		{"pattern", []string{"sluice.joinLeaveGroups.room.*"}, "room.1 room. !room.1.2 !rooms", "!room.1", 0},
		{"pattern for all", []string{"webpubsub.joinLeaveGroups.***"}, "a a.b", "!a", 0},
		{"pattern without a wildcard", []string{"webpubsub.joinLeaveGroups.a"}, "a !b", "", 0},
		{"unknown names of ours", []string{"sluice.", "sluice.sendToGroupX", "sluice.sendToGroups", "webpubsub.admin"}, "!g", "!g", 4},
		{"case matters", []string{"sluice.sendtogroup"}, "", "!g", 1},
		{"empty group", []string{"sluice.sendToGroup.", "sluice.sendToGroup. ", "sluice.sendToGroups."}, "", "!g", 3},
		{"bad patterns do no harm", []string{`sluice.sendToGroups.a\`, `sluice.sendToGroups.\a`, "sluice.sendToGroups.******", "sluice.sendToGroup.g"}, "", "g !a", 3},
		{"ten patterns", numbered("sluice.sendToGroups.%d-*", 11), "", "0-x 9-x !10-x", 1},
		{"a thousand groups", numbered("sluice.sendToGroup.g%04d", 1002), "", "g0000 g0999 !g1000", 2},
		{"limits count for each action", append(numbered("sluice.sendToGroups.%d*", 10), numbered("sluice.joinLeaveGroups.%d*", 10)...), "9x", "9x", 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p, ignored := auth.CompileRoles(c.roles)
			if len(ignored) != c.ignored {
				t.Errorf("ignored %v, want %d", ignored, c.ignored)
			}
			for action, groups := range map[auth.Action]string{auth.JoinLeaveGroup: c.join, auth.SendToGroup: c.send} {
				for g := range strings.FieldsSeq(groups) {
					name, denied := strings.CutPrefix(g, "!")
					if p.Allowed(action, []byte(name)) == denied {
						t.Errorf("action %d on %q: allowed is %v", action, name, denied)
					}
				}
			}
		})
	}
}

func numbered(format string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(format, i)
	}
	return all
}

func TestPattern(t *testing.T) {
	cases := []struct {
		pattern   string
		yes, no   string // space between
		malformed bool
	}{
		{"a?c", "abc a?c aéc", "ac a.c abbc", false},
		{"?", "x é", "xx .", false},
		{"*", "x xyz", "a.b .", false},
		{"a*", "a ab a*", "b a.b", false},
		{"*.log", ".log a.log", "a.b.log log", false},
		{"a.*.c", "a.b.c a..c", "a.b.b.c a.c", false},
		{"**.c", ".c a.c a.b.c", "c a.cd", false},
		{"a**c", "ac abc a.b.c", "a.b cc", false},
		{"*a*b", "ab xaxb aab", "x.ab xa.b", false},
		{"**a*b", "x.ab a.ab", "a.b x.a.b", false},
		{"*.a**b*", ".ab x.a.bc .axb", "xab x.a.b.", false},
		{`\*\?\\`, `*?\`, `x?\ *x\`, false},
		{"a.b", "a.b", "axb", false},
		{"Ä", "Ä", "ä A", false},
		{"*****", "a.b x", "", false},
		{"*a*a*a*a*", "aaaa xaxaxaxax", "aaa a.aaa", false},
		{`\*\*\*\*\*\**`, "******x", "*****", false},
		{"*a*a*a*a*a*", "", "", true},
		{`a\`, "", "", true},
		{`\a`, "", "", true},
		{"", "", "", true},
		{strings.Repeat("é", 1024), strings.Repeat("é", 1024), "é", false},
		{strings.Repeat("é", 1025), "", "", true},
	}
	for _, c := range cases {
		t.Run(c.pattern, func(t *testing.T) {
			if _, ok := auth.MatchPattern(c.pattern, ""); ok == c.malformed {
				t.Fatalf("compiled: %v", ok)
			}
			for g := range strings.FieldsSeq(c.yes) {
				if match, _ := auth.MatchPattern(c.pattern, g); !match {
					t.Errorf("does not match %q", g)
				}
			}
			for g := range strings.FieldsSeq(c.no) {
				if match, _ := auth.MatchPattern(c.pattern, g); match {
					t.Errorf("matches %q", g)
				}
			}
		})
	}
}

// twin translates a pattern to a regular expression, by the description of the
// syntax alone. Go's regexp takes linear time, so it can be given anything.
func twin(pattern string) (*regexp.Regexp, bool) {
	if pattern == "" || utf8.RuneCountInString(pattern) > 1024 {
		return nil, false
	}
	var out strings.Builder
	out.WriteString(`\A`)
	stars := 0
	for len(pattern) > 0 {
		switch n := len(pattern) - len(strings.TrimLeft(pattern, "*")); {
		case n > 0:
			stars += n
			out.WriteString([]string{`[^.]*`, `(?s:.*)`}[min(n, 2)-1])
			pattern = pattern[n:]
			continue
		case pattern[0] == '?':
			out.WriteString(`[^.]`)
			pattern = pattern[1:]
			continue
		case pattern[0] == '\\':
			if len(pattern) == 1 || !strings.Contains(`\*?`, pattern[1:2]) {
				return nil, false
			}
			pattern = pattern[1:]
		}
		r, size := utf8.DecodeRuneInString(pattern)
		fmt.Fprintf(&out, `\x{%x}`, r)
		pattern = pattern[size:]
	}
	out.WriteString(`\z`)
	return regexp.MustCompile(out.String()), stars <= 5
}

func FuzzPattern(f *testing.F) {
	for _, seed := range [][2]string{
		{"room.*", "room.1"}, {"**.a?c*", "x.y.abc1"}, {`\*\?\\`, `*?\`}, {"*a*a*a*b", "aaaaaaaaaaaaaaaaaaaa"},
		{"***.**", "a.b.c"}, {"é?*", "éé.é"}, {"?", "\xff"}, {"\xff*", "\ufffd"}, {"a\\", "a"},
		{"**" + strings.Repeat("a", 70) + "*b", strings.Repeat("a", 200)},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, group string) {
		re, valid := twin(pattern)
		got, ok := auth.MatchPattern(pattern, group)
		if ok != valid {
			t.Fatalf("%q: compiled %v, want %v", pattern, ok, valid)
		}
		if ok && got != re.MatchString(group) {
			t.Fatalf("%q on %q: got %v, the regular expression %v says otherwise", pattern, group, got, re)
		}
	})
}

func TestParsePattern(t *testing.T) {
	p, err := auth.ParsePattern("ticker.*")
	if err != nil {
		t.Fatal(err)
	}
	for group, want := range map[string]bool{"ticker.a": true, "ticker.a.b": false, "other": false} {
		if p.Match(group) != want {
			t.Errorf("%s matches: %v", group, !want)
		}
	}
	if _, err := auth.ParsePattern(`a\`); err == nil {
		t.Error("a pattern that ends in \\ is taken")
	}
}

// TestWhy: the role that is named allows what the roles do.
func TestWhy(t *testing.T) {
	p, _ := auth.CompileRoles([]string{"sluice.sendToGroup.room", `webpubsub.sendToGroups.a\*.?.*.**`, "sluice.joinLeaveGroup"})
	for _, tt := range []struct {
		action      auth.Action
		group, want string
	}{
		{auth.JoinLeaveGroup, "x", "sluice.joinLeaveGroup"},
		{auth.SendToGroup, "room", "sluice.sendToGroup.room"},
		{auth.SendToGroup, "a*.b.c.d.e", `sluice.sendToGroups.a\*.?.*.**`},
		{auth.SendToGroup, "other", ""},
	} {
		got := p.Why(tt.action, tt.group)
		if got != tt.want {
			t.Errorf("%s of %s: %q, want %q", tt.action, tt.group, got, tt.want)
		}
		if alone, _ := auth.CompileRoles([]string{got}); alone.Allowed(tt.action, []byte(tt.group)) != (got != "") {
			t.Errorf("%q does not allow %s of %s", got, tt.action, tt.group)
		}
	}
}
