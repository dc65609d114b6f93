package filter

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

type subject struct {
	id, user, protocol string
	groups             []string
}

func (s subject) ConnectionID() string  { return s.id }
func (s subject) UserID() string        { return s.user }
func (s subject) InGroup(g string) bool { return slices.Contains(s.groups, g) }
func (s subject) Subprotocol() string   { return s.protocol }

var (
	alice     = subject{"c1", "alice", "json.sluice.v1", []string{"vip", "it's"}}
	anonymous = subject{"c2", "", "", nil}
)

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		filter           string
		alice, anonymous bool
	}{
		{"true", true, true},
		{"false or not false", true, true},
		{"userId eq 'alice'", true, false},
		{"USERID EQ 'alice'", true, false},
		{"userId eq 'Alice'", false, false},
		{"userId ne 'alice'", false, true},
		{"userId eq null", false, true},
		{"null ne userId", true, false},
		{"userId gt 'al'", true, false},
		{"userId le 'zzz'", true, false},
		{"'vip' in groups", true, false},
		{"'it''s' in groups", true, false},
		{"userId in groups", false, false},
		{"not ('vip' in groups) and connectionId eq 'c2'", false, true},
		{"userId in ('bob','alice')", true, false},
		{"userId in ('bob')", false, false},
		{"protocol eq 'json.sluice.v1'", true, false},
		{"connectionId eq 'c2' or userId eq 'alice' and false", false, true}, // and binds more than or
		{"(connectionId eq 'c2' or userId eq 'alice') and false", false, false},
		{"length(userId) eq 5", true, false},
		{"length(userId) lt 1", false, true},
		{"length('é') eq 1", true, true},
		{"toupper(userId) eq 'ALICE'", true, false},
		{"tolower(concat('A', userId)) eq 'aalice'", true, false},
		{"trim('  x ') eq 'x'", true, true},
		{"substring(userId, 1) eq 'lice'", true, false},
		{"substring(userId, 1, 2) eq 'li'", true, false},
		{"substring('héllo', 1, 1) eq 'é'", true, true},
		{"substring(userId, 99) eq ''", true, true},
		{"substring('abc', -5, 9223372036854775807) eq 'abc'", true, true},
		{"indexof(userId, 'ic') eq 2", true, false},
		{"indexof(userId, 'x') eq -1", true, true},
		{"contains(userId, 'lic') eq true", true, false},
		{"startswith(userId, 'al') and endswith(userId, 'ce')", true, false},
		{"(1 eq 1) eq (2 ge 2)", true, true},
		{"  userId\teq\n'alice'  ", true, false},
	} {
		f, err := Parse(tt.filter)
		if err != nil {
			t.Errorf("%s: %v", tt.filter, err)
			continue
		}
		if got := f.Match(alice); got != tt.alice {
			t.Errorf("%s: alice: %v", tt.filter, got)
		}
		if got := f.Match(anonymous); got != tt.anonymous {
			t.Errorf("%s: anonymous: %v", tt.filter, got)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		filter, problem string
		offset          int
	}{
		{"", "expected a value", 0},
		{"userId", "expected true or false, this is a string", 0},
		{"groups", "behind `in` only", 6},
		{"userId eq", "expected a value", 9},
		{"userId eq 'x", "closing quote", 10},
		{"userId eq 1", "cannot be compared", 7},
		{"true gt false", "cannot be compared", 5},
		{"1 eq null", "cannot be compared", 2},
		{"userId in 'x'", `expected "("`, 10},
		{"userId in (1)", "expected groups or a list", 11},
		{"userId in ()", "expected groups or a list", 11},
		{"1 in groups", "expected a string, this is a number", 2},
		{"name eq 'x'", "unknown name", 0},
		{"tolower() eq 'x'", "too few arguments", 0},
		{"tolower('a','b') eq 'x'", "too many arguments", 12},
		{"contains(1, 'x')", "expected a string, this is a number", 9},
		{"true and 'x'", "expected true or false, this is a string", 9},
		{"not 'x'", "expected true or false, this is a string", 4},
		{"(true", `expected ")"`, 5},
		{"true true", "does not belong", 5},
		{"true; drop", "means nothing here", 4},
		{"99999999999999999999 eq 1", "64 bits", 0},
		{"- eq 1", "64 bits", 0},
		{strings.Repeat("(", 40) + "true" + strings.Repeat(")", 40), "nested too deep", 33},
		{strings.Repeat("not ", 40) + "true", "nested too deep", 132},
		{strings.Repeat("true eq true and ", 101) + "true", "more than 100", 1705},
		{"userId in ('" + strings.Repeat("','", 100) + "')", "more than 100", 308},
		{strings.Repeat(" ", MaxLength+1), "longer than", 0},
	} {
		_, err := Parse(tt.filter)
		e, ok := errors.AsType[*Error](err)
		if !ok || !strings.Contains(e.Problem, tt.problem) || e.Offset != tt.offset {
			t.Errorf("%.60q: got %v, want %q at %d", tt.filter, err, tt.problem, tt.offset)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	f, err := Parse("userId eq 'bob' or ('vip' in groups and startswith(connectionId, 'c') and length(userId) gt 3)")
	if err != nil {
		t.Fatal(err)
	}
	var s Subject = alice
	if n := testing.AllocsPerRun(100, func() {
		if !f.Match(s) {
			t.Error("no match")
		}
	}); n > 2 { // the arguments of each call
		t.Errorf("%v allocations", n)
	}
}

// FuzzParse: whatever the filter, it is refused or can be asked, and says the
// same when it is written in capitals outside of strings.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"userId eq 'alice' or ('vip' in groups and not startswith(connectionId, 'test'))",
		"substring(userId, -1, 3) ne null", "length('it''s') ge -4 eq true", "userId in ('a','b')", "((", "'",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		filter, err := Parse(source)
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || e.Offset < 0 || e.Offset > len(source) || e.Problem == "" {
				t.Errorf("%#v", err)
			}
			return
		}
		a, b := filter.Match(alice), filter.Match(anonymous)
		again, err := Parse("(" + source + ")")
		if err != nil {
			if e := err.(*Error); e.Problem != "nested too deep" && !strings.HasPrefix(e.Problem, "longer") {
				t.Fatalf("%q in brackets: %v", source, err)
			}
			return
		}
		if again.Match(alice) != a || again.Match(anonymous) != b {
			t.Errorf("%q: brackets make a difference", source)
		}
	})
}
