package main

import (
	"strings"
	"testing"
)

// What a go test -json of two packages looks like that share the time: parallel
// subtests, one failed and one skipped, a test without an end, a build that
// fails. Lines of no interest are left out.
const events = `
{"Action":"output","Package":"m/a","Test":"TestFine","Output":"=== RUN   TestFine\n"}
{"Action":"output","Package":"m/a","Test":"TestFine","Output":"    a_test.go:1: nobody reads this\n"}
{"Action":"output","Package":"m/a","Test":"TestFine","Output":"--- PASS: TestFine (0.00s)\n"}
{"Action":"pass","Package":"m/a","Test":"TestFine"}
{"Action":"output","Package":"m/a","Test":"TestSubs/two","Output":"    a_test.go:2: two is broken\n"}
{"Action":"output","Package":"m/b","Test":"TestEndless","Output":"panic: test timed out\n"}
{"Action":"output","Package":"m/a","Test":"TestSubs/one","Output":"    a_test.go:3: log\n"}
{"Action":"output","Package":"m/a","Test":"TestSubs/two","Output":"        badly\n"}
{"Action":"output","Package":"m/a","Test":"TestSubs/one","Output":"    a_test.go:4: SKIPPED: why: no browser\n"}
{"Action":"output","Package":"m/a","Test":"TestSubs","Output":"--- FAIL: TestSubs (0.00s)\n"}
{"Action":"output","Package":"m/a","Test":"TestSubs/two","Output":"    --- FAIL: TestSubs/two (0.00s)\n"}
{"Action":"fail","Package":"m/a","Test":"TestSubs/two"}
{"Action":"output","Package":"m/b","Output":"FAIL\tm/b\t1s\n"}
{"Action":"fail","Package":"m/b"}
{"Action":"output","Package":"m/a","Test":"TestSubs/one","Output":"    --- SKIP: TestSubs/one (0.00s)\n"}
{"Action":"skip","Package":"m/a","Test":"TestSubs/one"}
{"Action":"fail","Package":"m/a","Test":"TestSubs"}
{"Action":"skip","Package":"m/a","Test":"TestSilent"}
{"Action":"output","Package":"m/a","Output":"FAIL\n"}
{"Action":"output","Package":"m/a","Output":"FAIL\tm/a\t2s\n"}
{"Action":"fail","Package":"m/a"}
{"Action":"build-output","ImportPath":"m/c","Output":"c.go:1: syntax error\n"}
{"Action":"build-fail","ImportPath":"m/c"}
{"Action":"output","Package":"m/d","Output":"PASS\n"}
{"Action":"output","Package":"m/d","Output":"ok  \tm/d\t3s\n"}
{"Action":"pass","Package":"m/d"}
`

const shown = `panic: test timed out
FAIL	m/b	1s
--- FAIL: TestSubs (0.00s)
    --- FAIL: TestSubs/two (0.00s)
    a_test.go:2: two is broken
        badly
FAIL
FAIL	m/a	2s
c.go:1: syntax error
ok  	m/d	3s

Skipped tests: 2
SKIPPED m/a.TestSubs/one: why: no browser
SKIPPED m/a.TestSilent: no reason given
`

func TestShow(t *testing.T) {
	var out strings.Builder
	if err := show(&out, strings.NewReader(events)); err != nil {
		t.Fatal(err)
	}
	if out.String() != shown {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), shown)
	}
	if err := show(&out, strings.NewReader("no JSON")); err == nil {
		t.Error("output that is not of go test -json was accepted")
	}
}
